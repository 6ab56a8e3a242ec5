"""Locks between processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from archsearch.errors import ResumeError


@contextmanager
def exclusive_lock(folder: Path, busy: str) -> Iterator[None]:
    """Hold the lock of `folder`. Raises `ResumeError` with the message `busy` if another process holds it."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ResumeError(busy) from None
