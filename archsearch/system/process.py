"""How a process imports, keeps memory, and ends; each function is here because it was measured to pay."""

import atexit
import ctypes
import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

# mallopt's names in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30
_MALLOC_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

_exit_status: int | None = None


@contextmanager
def gc_paused() -> Iterator[None]:
    """Import large packages here: the garbage collector is off meanwhile, and never looks at what was imported.

    An import of torch or MLflow creates hundreds of thousands of objects, none of them garbage. The collector would
    traverse them again and again, which takes a tenth to a fifth of the import time.
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
    """Let glibc keep up to a gigabyte of freed memory for reuse; returns whether it does.

    A batch's tensors take some megabytes each. By default, glibc returns such blocks to the kernel and requests them
    again, zeroed page by page, for the next batch. These page faults take a fifth of the time of training a small
    network on the CPU. Results do not change. Malloc settings in the environment are respected; other C libraries have
    no `mallopt`.
    """
    if any(name in os.environ for name in _MALLOC_VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # musl, macOS; Windows
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES))


def skip_teardown() -> None:
    """Let `end_process` skip interpreter teardown, which takes 2 to 3 s once torch's compiler is loaded.

    Call it before the large imports: exit functions run in reverse order of registration, so all that are registered
    later still run.
    """
    atexit.register(_leave)


def end_process(status: int) -> NoReturn:
    """Exit with `status` after all exit functions, skipping teardown if `skip_teardown` was called."""
    global _exit_status  # noqa: PLW0603 # exit functions are not told the status
    _exit_status = status
    raise SystemExit(status)


def _leave() -> None:
    if _exit_status is None:
        return
    logging.shutdown()  # registered before this function, so it has not run yet
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a closed pipe
            stream.flush()
    os._exit(_exit_status)
