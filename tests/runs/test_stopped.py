"""Runs that stop before their last epoch, as trials of a search do, and go on later or never."""

import json
from pathlib import Path
from typing import Any

import pytest

from archsearch.runs.prepare import prepare_in_sweep
from archsearch.runs.train import train_run
from tests.support.requests import ask
from tests.support.runs import RECIPE, mlflow_client, result_in, train_in, without_times

SWEEP_RUN = "++sweep_run={sweep:s,number:0,name:a,trial:true}"
FOLDER = Path("outputs/sweeps/s/0")

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("workspace")]


def train_trial(until: int | None = None, *overrides: str) -> dict[str, Any]:
    """Train the trial in `FOLDER`, from its checkpoint if it has one; returns its `result.json`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    prepared = prepare_in_sweep(ask(*RECIPE, "trainer.epochs=3", SWEEP_RUN, *overrides), FOLDER)
    train_run(prepared, FOLDER, until=until)
    return result_in(FOLDER)


def test_a_trial_stops_and_goes_on_to_the_same_numbers() -> None:
    stopped = train_trial(1)
    assert (stopped["state"], stopped["epochs_trained"]) == ("STOPPED", 1)
    assert stopped["reason"] == "stopped after epoch 1 of 3"
    assert train_trial(2)["epochs_trained"] == 2
    finished = without_times(train_trial())
    uninterrupted = without_times(train_in(Path("outputs/runs/a"), *RECIPE, "trainer.epochs=3"))
    assert finished["history"] == uninterrupted["history"]
    assert finished["state"] == "FINISHED"


def test_a_trial_leaves_the_test_set_unread() -> None:
    finished = train_trial()
    assert not any(key.startswith("test") for key in json.dumps(finished).split('"'))
    assert not (FOLDER / "predictions.csv").exists()
    assert finished["final"]["val/accuracy"] == finished["history"][-1]["val/accuracy"]


def test_a_trial_that_was_killed_on_its_rung_stops_there() -> None:
    train_trial(2)
    content = result_in(FOLDER)
    (FOLDER / "result.json").write_text(json.dumps({**content, "state": "RUNNING"}))
    stopped = train_trial(2)
    assert (stopped["state"], stopped["epochs_trained"]) == ("STOPPED", 2)


def test_a_trial_that_is_interrupted_on_its_rung_was_interrupted() -> None:
    FOLDER.mkdir(parents=True)
    prepared = prepare_in_sweep(ask(*RECIPE, "trainer.epochs=3", SWEEP_RUN), FOLDER)
    with pytest.raises(KeyboardInterrupt):
        train_run(prepared, FOLDER, stop=lambda: True, until=1)
    assert (result_in(FOLDER)["state"], result_in(FOLDER)["epochs_trained"]) == ("KILLED", 1)
    assert train_trial(1)["state"] == "STOPPED"


def test_mlflow_says_that_a_trial_stopped_and_then_that_it_finished() -> None:
    run_id = train_trial(1, "tracking=mlflow")["run_id"]
    run = mlflow_client().get_run(run_id)
    assert (run.info.status, run.data.tags["state"]) == ("KILLED", "STOPPED")
    assert run.data.metrics["params"] > 0 and run.data.metrics["macs"] > 0
    assert train_trial(None, "tracking=mlflow")["run_id"] == run_id
    run = mlflow_client().get_run(run_id)
    assert (run.info.status, run.data.tags["state"]) == ("FINISHED", "FINISHED")
    assert "test/accuracy" not in run.data.metrics and run.data.metrics["epoch_seconds"] > 0
