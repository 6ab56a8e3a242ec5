"""Atomic writes."""

from pathlib import Path

import pytest

from archsearch.system.atomic import replacing, write_text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    write_text(path, "old")
    return path


def test_a_write_replaces_the_content(path: Path) -> None:
    write_text(path, "neu: ä")
    assert path.read_text(encoding="utf-8") == "neu: ä"


def test_the_old_content_stays_until_the_new_is_complete(path: Path) -> None:
    with replacing(path) as scratch:
        scratch.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_an_interrupted_write_leaves_the_old_content_and_no_other_file(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(path) as scratch:
        scratch.write_text("new, but incompl")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]


def test_scratch_files_keep_the_suffix(path: Path) -> None:
    with replacing(path) as scratch:  # some writers choose the format by the suffix
        assert scratch.suffix == ".json" and scratch.parent == path.parent
        scratch.touch()
