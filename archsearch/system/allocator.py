"""How glibc keeps memory that was freed: for the next batch, which needs as much of it again."""

import ctypes
import os

# mallopt's names in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 1 << 30  # bytes
_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, up to a gigabyte, instead of giving it back; returns whether it does.

    A batch's tensors are some megabytes each. By default glibc returns such blocks to the kernel when they are freed
    and gets them back, page by page and zeroed, for the next batch: thousands of page faults a step, a fifth of the
    time of training a small network on the CPU. Results do not change. A person who has set malloc's variables is left
    alone; other C libraries have no `mallopt`.
    """
    if any(name in os.environ for name in _OWN):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # musl, macOS; Windows
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _LARGE) and mallopt(_M_MMAP_THRESHOLD, _LARGE))
