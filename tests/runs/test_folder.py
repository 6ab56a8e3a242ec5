"""Checkpoints and run folders: nothing half-written, nothing executed, every run found."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from archsearch.errors import ResumeError
from archsearch.runs.folder import find_run
from archsearch.system.atomic import replacing, write_text
from archsearch.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from archsearch.training.metrics import EpochMetrics, Score

METRICS = EpochMetrics(1, Score(0.5, 90, 100), Score(0.4, 95, 100), None, 0.1, 2.0, 1_700_000_000_000)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")
    with pytest.raises(ValueError, match="half-way"), replacing(path) as scratch:
        scratch.write_text("new, but only hal")
        raise ValueError("half-way")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_checkpoints_come_back_as_they_went(tmp_path: Path) -> None:
    saved = Checkpoint({"seed": 1, "model": {"blocks": {}}}, "abc", [METRICS], {"network": {"w": torch.ones(2)}})
    save_checkpoint(tmp_path / "c.pt", saved)
    loaded = load_checkpoint(tmp_path / "c.pt")
    assert (loaded.data_fingerprint, loaded.config, loaded.history) == ("abc", saved.config, [METRICS])
    assert torch.equal(loaded.trainer["network"]["w"], torch.ones(2))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("touched"),))  # type: ignore[return-value]


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "config": Evil()}, "evil.pt")
    with pytest.raises(ResumeError, match=r"evil.pt: not a readable checkpoint"):
        load_checkpoint(Path("evil.pt"))
    assert not Path("touched").exists()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", pickle.dumps({"format": 1}, protocol=2), b"PK\x03\x04 truncated"]
)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(ResumeError, match=r"c.pt"):
        load_checkpoint(tmp_path / "c.pt")


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "c.pt")


def run_folder(folder: Path, run_id: str, started: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"run_id": run_id, "started": started}))
    return folder


def test_runs_are_found_by_folder_id_beginning_and_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ResumeError, match="no run under"):
        find_run("last")
    first = run_folder(Path("outputs/runs/a"), "abc123", "2026-01-01T00:00:00+00:00")
    second = run_folder(Path("outputs/sweeps/s/0"), "abd456", "2026-01-02T00:00:00+00:00")
    (Path("outputs/runs") / "broken").mkdir()
    (Path("outputs/runs") / "broken" / "result.json").write_text("{half")
    assert find_run("abc") == first and find_run("abd456") == second and find_run("last") == second
    assert find_run(str(first)) == first
    with pytest.raises(ResumeError, match="2 runs begin like this"):
        find_run("ab")
    with pytest.raises(ResumeError, match="resume=xyz: no run with this id"):
        find_run("xyz")
