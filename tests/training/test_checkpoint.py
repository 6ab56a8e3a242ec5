"""Checkpoint files: read back exactly, executed never."""

import pickle
import random
from pathlib import Path

import pytest
import torch

from archsearch.errors import ResumeError
from archsearch.training.checkpoint import FORMAT, Checkpoint, load_checkpoint, newest_readable, save_checkpoint
from archsearch.training.metrics import EpochMetrics, Score

METRICS = EpochMetrics(1, Score(0.5, 90, 100), Score(0.4, 95, 100), None, 0.1, 2.0, 1_700_000_000_000)


def test_a_checkpoint_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = Checkpoint({"seed": 1, "model": {"blocks": {}}}, "abc", [METRICS], {"network": {"w": torch.ones(2)}})
    save_checkpoint(tmp_path / "c.pt", saved)
    loaded = load_checkpoint(tmp_path / "c.pt")
    assert (loaded.data_fingerprint, loaded.config, loaded.history) == ("abc", saved.config, [METRICS])
    assert torch.equal(loaded.trainer["network"]["w"], torch.ones(2))


WEIGHTS = torch.arange(1000, dtype=torch.float32)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint after one epoch."""
    save_checkpoint(tmp_path / "c.pt", Checkpoint({"seed": 1}, "abc", [METRICS], {"w": WEIGHTS}))
    return tmp_path / "c.pt"


def test_a_flipped_bit_in_the_weights_is_found(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[content.index(WEIGHTS.numpy().tobytes()) + 1234] ^= 4
    saved.write_bytes(content)
    with pytest.raises(ResumeError, match=r"c.pt: not a readable checkpoint: the checksum of .* does not match"):
        load_checkpoint(saved)


def test_no_flipped_bit_changes_what_is_read(saved: Path) -> None:
    before, content = load_checkpoint(saved), saved.read_bytes()
    for position in random.Random(0).sample(range(8 * len(content)), 300):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        saved.write_bytes(flipped)
        try:
            after = load_checkpoint(saved)
        except ResumeError:
            continue
        assert (after.config, after.history) == (before.config, before.history)
        assert torch.equal(after.trainer["w"], WEIGHTS)


def test_the_checkpoint_before_is_kept(saved: Path) -> None:
    previous = saved.with_name("p.pt")
    save_checkpoint(saved, Checkpoint({"seed": 2}, "abc", [METRICS] * 2, {}), previous)
    assert [len(load_checkpoint(path).history) for path in (saved, previous)] == [2, 1]


def test_there_is_a_checkpoint_at_every_moment(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed before the new file is renamed leaves the last one in its place."""
    replace = Path.replace

    def kill_before(source: Path, target: Path) -> None:
        if target == saved:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(Path, "replace", kill_before)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, Checkpoint({"seed": 2}, "abc", [METRICS] * 2, {}), saved.with_name("p.pt"))
    assert len(load_checkpoint(saved).history) == 1


def test_the_first_whole_checkpoint_is_taken_and_the_others_are_named(saved: Path) -> None:
    half, missing = saved.with_name("half.pt"), saved.with_name("missing.pt")
    half.write_bytes(saved.read_bytes()[:500])
    checkpoint, problems = newest_readable([missing, half, saved])
    assert checkpoint is not None and checkpoint.data_fingerprint == "abc"
    assert problems[0] == "missing.pt is missing" and problems[1].startswith("half.pt is damaged (")


def test_without_a_whole_checkpoint_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "c.pt").touch()
    assert newest_readable([tmp_path / "c.pt"])[0] is None


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
    [b"", b"nonsense", pickle.dumps({"format": FORMAT}, protocol=2), b"PK\x03\x04 truncated", b"\xff\xfe\x80"],
    ids=["empty", "text", "pickle", "truncated", "no text"],
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
