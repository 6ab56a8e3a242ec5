"""`archsearch.load`: runs and sweeps by their names, and what they say where something is missing."""

from pathlib import Path
from typing import Any

import pytest

import archsearch
from tests.support.runs import made_up_result

pytestmark = pytest.mark.e2e  # whole runs, in this process


def test_load_finds_runs_by_id_and_folder(run: archsearch.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder.parents[2])
    for name in (run.id, run.id[:12], run.folder, str(run.folder), "last"):
        loaded = archsearch.load(name)
        assert isinstance(loaded, archsearch.Run) and loaded.folder == run.folder
    assert archsearch.load(run.folder).network().state_dict().keys() == run.network().state_dict().keys()  # type: ignore[union-attr]


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("last", "load: got 'last', but there is no run and no sweep in outputs/ yet"),
        ("abc", "load: got 'abc', must be the id or the folder of a run or a sweep in outputs/, or last"),
    ],
)
def test_load_names_what_it_cannot_find(name: str, message: str) -> None:
    with pytest.raises(archsearch.ReportError) as caught:
        archsearch.load(name)
    assert str(caught.value) == message


def test_a_run_without_an_epoch_has_no_trained_network(workspace: Path) -> None:
    folder = workspace / "outputs" / "runs" / "a"
    folder.mkdir(parents=True)
    made_up_result(state="FAILED").write(folder)
    run = archsearch.load(folder)
    assert isinstance(run, archsearch.Run)
    assert list(run.metrics["val/accuracy"]) == []
    with pytest.raises(archsearch.ResumeError, match="has trained no epoch"):
        run.network()


@pytest.mark.parametrize("content", ["", "index,label\n0,1,2,3\n", "\xff"], ids=["empty", "ragged", "text"])
def test_damaged_predictions_are_named(content: str, workspace: Path) -> None:
    folder = workspace / "outputs" / "runs" / "a"
    folder.mkdir(parents=True)
    made_up_result().write(folder)
    (folder / "predictions.csv").write_text(content)
    with pytest.raises(archsearch.ReportError, match=r"predictions\.csv: damaged: "):
        _ = archsearch.Run(folder).predictions


@pytest.mark.parametrize("name", [None, 5, b"last", "x" * 5000])
def test_a_name_that_cannot_be_is_refused(name: Any, workspace: Path) -> None:
    with pytest.raises(archsearch.ReportError, match="must be the id or the folder of a run or a sweep"):
        archsearch.load(name)
