"""Interrupted runs, and runs that continue from a checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from archsearch.errors import ResumeError
from archsearch.runs.prepare import prepare
from archsearch.runs.train import train_run
from archsearch.training.checkpoint import load_checkpoint, save_checkpoint
from tests.support.requests import ask
from tests.support.runs import RUN, mlflow_client, result_in, steps_of, train_in, without_times


def test_an_interrupted_run_keeps_its_epochs(interrupted: Path) -> None:
    result = result_in(interrupted)
    assert (result["state"], result["reason"], result["epochs_trained"]) == ("KILLED", "interrupted", 1)
    assert "test/accuracy" not in result["final"]


def test_an_interrupted_run_resumes_to_the_same_numbers(interrupted: Path, finished: Path) -> None:
    result = train_in(interrupted, "resume=last")
    assert without_times(result) == without_times(result_in(finished / RUN))


def test_a_resumed_run_keeps_its_id_and_name(interrupted: Path) -> None:
    before = result_in(interrupted)
    result = train_in(interrupted, f"resume='{before['run_id'][:8]}'")  # quoted: an id may look like a number
    assert (result["run_id"], result["name"]) == (before["run_id"], before["name"])


def test_a_finished_run_cannot_be_resumed(interrupted: Path) -> None:
    train_in(interrupted, "resume=last")
    with pytest.raises(ResumeError, match="is finished, after 2 epochs"):
        prepare(ask("resume=last"))


@pytest.mark.usefixtures("interrupted")
def test_the_folder_of_the_data_may_change() -> None:
    assert prepare(ask("resume=last", "data.root=elsewhere")).settings.data.root == "elsewhere"


def test_a_run_does_not_resume_on_other_data(interrupted: Path) -> None:
    path = interrupted / "checkpoint.pt"
    save_checkpoint(path, replace(load_checkpoint(path), data_fingerprint="of other data"))
    with pytest.raises(ResumeError, match=r"the data in data.root=.* differ from those that the run started with"):
        train_run(prepare(ask("resume=last")), interrupted)


def test_two_processes_cannot_train_the_same_run(interrupted: Path) -> None:
    lock = FileLock(interrupted / ".lock", is_singleton=False)
    with lock, pytest.raises(ResumeError, match="another process is training the run"):
        train_run(prepare(ask("resume=last")), interrupted)


def test_a_run_that_started_without_tracking_can_be_resumed_with_it(interrupted: Path) -> None:
    result = train_in(interrupted, "resume=last", "tracking=mlflow", "tracking.log_model=false")
    client = mlflow_client()
    assert steps_of(client, result["run_id"]) == [1, 2]
    assert client.get_run(result["run_id"]).info.status == "FINISHED"
