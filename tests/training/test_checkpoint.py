"""Checkpoint files: read back exactly, executed never."""

import pickle
from pathlib import Path

import pytest
import torch

from archsearch.errors import ResumeError
from archsearch.training.checkpoint import FORMAT, Checkpoint, load_checkpoint, save_checkpoint
from archsearch.training.metrics import EpochMetrics, Score

METRICS = EpochMetrics(1, Score(0.5, 90, 100), Score(0.4, 95, 100), None, 0.1, 2.0, 1_700_000_000_000)


def test_a_checkpoint_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = Checkpoint({"seed": 1, "model": {"blocks": {}}}, "abc", [METRICS], {"network": {"w": torch.ones(2)}})
    save_checkpoint(tmp_path / "c.pt", saved)
    loaded = load_checkpoint(tmp_path / "c.pt")
    assert (loaded.data_fingerprint, loaded.config, loaded.history) == ("abc", saved.config, [METRICS])
    assert torch.equal(loaded.trainer["network"]["w"], torch.ones(2))


class TouchesWhenUnpickled:
    """Creates the file `touched` if it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("touched"),))  # type: ignore[return-value]


def test_loading_executes_no_code(workspace: Path) -> None:
    torch.save({"format": FORMAT, "config": TouchesWhenUnpickled()}, "evil.pt")
    with pytest.raises(ResumeError, match=r"evil.pt: not a readable checkpoint"):
        load_checkpoint(Path("evil.pt"))
    assert not (workspace / "touched").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", pickle.dumps({"format": FORMAT}, protocol=2), b"PK\x03\x04 truncated"],
    ids=["empty", "text", "pickle", "truncated"],
)
def test_a_file_that_is_not_a_checkpoint_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(ResumeError, match=r"c.pt: not a readable checkpoint"):
        load_checkpoint(tmp_path / "c.pt")


def test_a_checkpoint_of_another_format_is_rejected(tmp_path: Path) -> None:
    torch.save({"format": FORMAT + 1}, tmp_path / "c.pt")
    with pytest.raises(ResumeError, match=r"c.pt: written by an incompatible version"):
        load_checkpoint(tmp_path / "c.pt")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match=r"c.pt: there is no checkpoint"):
        load_checkpoint(tmp_path / "c.pt")
