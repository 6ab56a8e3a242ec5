"""Exclusive use of a run's folder, and the error for a folder that cannot be written."""

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
    reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return StorageError(
        f"cannot write to {error.filename or folder}: {reason}; set hydra.run.dir to use another folder"
    )
