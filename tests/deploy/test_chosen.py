"""Which run is meant: an id, last, or the best by validation of a sweep."""

from pathlib import Path

import pytest

from archsearch.deploy.chosen import choose_run
from archsearch.errors import ReportError, ResumeError
from archsearch.sweep.record import Entry, SweepRecord
from tests.support.runs import epoch, made_up_result


def make_sweep(name: str, *runs: tuple[int | None, int, str]) -> Path:
    """A sweep of runs with these validation accuracies (percent), test accuracies and states."""
    folder = Path("outputs", "sweeps", name)
    entries = []
    for number, (validation, test, state) in enumerate(runs):
        (folder / str(number)).mkdir(parents=True)
        history = [epoch(1, 99, 99), epoch(2, validation, test)]
        run_id = f"{name}{number}".ljust(16, "0")
        made_up_result(*history, run_id=run_id, state=state, seed=number).write(folder / str(number))
        entries.append(Entry(number, str(number), "a", {}, [], None, "READY"))
    SweepRecord([], name, ["seed"], entries, started=f"2026-01-0{len(runs)}T00:00:00+00:00").write(folder)
    return folder


def test_best_is_by_validation_of_the_last_epoch_of_the_last_sweep(workspace: Path) -> None:
    make_sweep("early", (99, 99, "FINISHED"))
    folder = make_sweep("late", (90, 97, "FINISHED"), (93, 91, "FINISHED"), (92, 99, "FINISHED"), (98, 98, "KILLED"))
    run = choose_run("best")
    assert run.folder == folder / "1"
    assert str(run).startswith("run late1000, session4 seed=1, val 93.00 %")
    assert "best by validation of 3 finished runs in outputs/sweeps/late" in str(run)
    assert choose_run("best", "early").id.startswith("early0")


def test_a_run_of_a_sweep_is_named_by_its_model_too(workspace: Path) -> None:
    folder = Path("outputs", "runs", "a")
    folder.mkdir(parents=True)
    made_up_result(epoch(1), name="dropout=0.1 seed=2", choices={"model": "resnet20"}).write(folder)
    assert str(choose_run("last")) == "run 01234567, resnet20 dropout=0.1 seed=2, val 95.00 %, test 97.00 %"
    made_up_result(epoch(1), name="model=resnet20 seed=2", choices={"model": "resnet20"}).write(folder)
    assert choose_run("last").name == "model=resnet20 seed=2"


def test_a_run_is_named_by_its_id_or_last(workspace: Path) -> None:
    make_sweep("a", (90, 90, "FINISHED"), (91, 90, "FINISHED"))
    assert choose_run("a0").id == "a000000000000000" and choose_run("a0").reason == ""
    assert choose_run("last").folder.parent == Path("outputs/sweeps/a")
    with pytest.raises(ResumeError, match="run=zz: no run with this id"):
        choose_run("zz")


def test_what_has_no_best_run_is_refused(workspace: Path) -> None:
    with pytest.raises(ResumeError, match="sweep=last: no sweep under outputs"):
        choose_run("best")
    make_sweep("a", (None, 90, "FINISHED"))
    with pytest.raises(ReportError, match="its runs held out no images"):
        choose_run("best")
    make_sweep("bb", (90, 90, "FAILED"), (90, 90, "KILLED"))
    with pytest.raises(ReportError, match="run=best: no run of outputs/sweeps/bb is finished"):
        choose_run("best")


def test_a_run_that_trained_nothing_is_refused(workspace: Path) -> None:
    folder = Path("outputs", "runs", "a")
    folder.mkdir(parents=True)
    made_up_result(state="KILLED").write(folder)
    with pytest.raises(ResumeError, match="the run is KILLED and has trained no epoch"):
        choose_run("last")
