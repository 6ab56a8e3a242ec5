"""Exclusive use of a run's folder, and the errors for a folder that cannot be written."""

import errno
from contextlib import AbstractContextManager
from pathlib import Path

from archsearch.errors import StorageError
from archsearch.system.locks import exclusive_lock


def run_lock(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of the run in `folder`. Raises `ResumeError` if another process is training it."""
    return exclusive_lock(folder, f"resume: another process is training the run in {folder}")


def storage_error(error: OSError, folder: Path) -> StorageError:
    """The `StorageError` for an `OSError` that occurred while writing to `folder`."""
    return StorageError(f"{cannot_write(error, folder)}; set hydra.run.dir to use another folder")


def cannot_write(error: OSError, folder: Path) -> str:
    """What could not be written, and why, in words."""
    reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return f"cannot write to {error.filename or folder}: {reason}"


def is_unwritable(error: BaseException | None) -> bool:
    """Whether `error` says that nothing can be written to a disk: it is full, or read-only."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
