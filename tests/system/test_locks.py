"""Locks on folders."""

from pathlib import Path

import pytest

from archsearch.errors import ResumeError
from archsearch.system.locks import exclusive_lock


def test_a_locked_folder_cannot_be_locked_again(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path, "first"), pytest.raises(ResumeError, match="busy"), exclusive_lock(tmp_path, "busy"):
        pass


def test_a_folder_can_be_locked_again_after_release(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(tmp_path, "busy"):
        raise ZeroDivisionError
    with exclusive_lock(tmp_path, "busy"):
        pass


def test_folders_are_locked_independently(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with exclusive_lock(tmp_path, "busy"), exclusive_lock(tmp_path / "other", "busy"):
        pass
