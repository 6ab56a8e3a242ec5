"""Faster imports, memory allocation and exit of a process. Each function has a measured benefit."""

import atexit
import ctypes
import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30
_MALLOC_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

_SPINS = "10000"
_SPIN_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")

_exit_status: int | None = None


@contextmanager
def gc_paused() -> Iterator[None]:
    """Import large packages in this context: the garbage collector is off, and ignores what was imported later, too.

    Importing torch or MLflow creates hundreds of thousands of objects, none of them garbage. The collector would
    traverse them repeatedly, which takes a tenth to a fifth of the import time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def keep_freed_memory() -> bool:
    """Let glibc keep up to a gigabyte of freed memory for reuse. Returns whether it does.

    A batch's tensors take some megabytes each. By default, glibc returns such blocks to the kernel and requests them
    again, zeroed page by page, for the next batch. These page faults take a fifth of the time of training a small
    network on the CPU. Results do not change. Returns False, and changes nothing, if the environment has malloc
    settings or the C library has no `mallopt`.
    """
    if any(name in os.environ for name in _MALLOC_VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # musl, macOS; Windows
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES))


def spin_briefly() -> bool:
    """Let OpenMP's threads spin for a shorter time before they sleep. Returns whether they will.

    torch's threads wait for each other after each operation. GNU's library lets them spin 300,000 times, on a core that
    another process may want: beside one that keeps one of two cores busy, a run had a sixth of its speed, and two
    fifths of it with 10,000 spins. An idle machine is as fast as before (benchmarks/neighbour.py). Call it before torch
    is imported. Returns False, and changes nothing, if the environment says how threads wait.
    """
    if any(name in os.environ for name in _SPIN_VARIABLES):
        return False
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    return True


def skip_teardown() -> None:
    """Let `end_process` skip interpreter teardown, which takes 2 to 3 s once torch's compiler is loaded.

    Call it before the large imports: exit functions run in reverse order of registration, so all that are registered
    later still run.
    """
    atexit.register(_leave)


def end_process(status: int) -> NoReturn:
    """Exit with `status` after all exit functions, skipping teardown if `skip_teardown` was called."""
    global _exit_status  # noqa: PLW0603 # exit functions get no status
    _exit_status = status
    raise SystemExit(status)


def _leave() -> None:
    if _exit_status is None:
        return
    logging.shutdown()  # registered before this function, so it has not run yet
    status = _exit_status
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError, AttributeError):  # the pipe or the stream is closed
            pass
        except OSError as error:  # a full disk
            status = status or 1
            with suppress(OSError, ValueError):
                os.write(2, f"archsearch: the output is incomplete: {error.strerror}\n".encode())
    os._exit(status)
