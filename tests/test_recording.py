"""A run trains while its record is being opened, and ends well whatever comes of that."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, ask

from archsearch import runs
from archsearch.errors import TrackingError
from archsearch.experiment import run
from archsearch.prepare import prepare
from archsearch.tracking.recorder import MlflowRecorder
from archsearch.tracking.store import open_experiment, resolve_store

FOLDER = Path("outputs/runs/a")
real_start = MlflowRecorder.start


def experiment(*overrides: str) -> Any:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return prepare(ask(*QUICK, *overrides))


def recorded() -> Any:
    client, experiment_id = open_experiment(resolve_store(None, runs.OUTPUTS), "archsearch")
    (found,) = client.search_runs([experiment_id])
    return found


@pytest.mark.usefixtures("workspace")
def test_training_does_not_wait_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = threading.Event()

    def slow(*given: Any, **named: Any) -> MlflowRecorder:
        assert trained.wait(60), "nothing was trained while the store was being opened"
        return real_start(*given, **named)

    monkeypatch.setattr(MlflowRecorder, "start", slow)
    result = run(experiment(), FOLDER, watch=lambda _: trained.set())
    found = recorded()
    assert result.run_id == found.info.run_id == json.loads((FOLDER / runs.RESULT).read_text())["run_id"]
    assert found.info.status == "FINISHED" and found.data.metrics["test/accuracy"] == result.test.accuracy  # type: ignore[union-attr]


@pytest.mark.usefixtures("workspace")
def test_a_store_that_refuses_ends_the_run_and_the_run_can_go_on_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> MlflowRecorder:
        raise TrackingError("tracking store refuses the run")

    asked = experiment()
    with monkeypatch.context() as patch, pytest.raises(TrackingError, match="refuses the run"):
        patch.setattr(MlflowRecorder, "start", refuse)
        run(asked, FOLDER)
    result = runs.read_result(FOLDER)
    assert result is not None and (result["state"], result["reason"]) == ("FAILED", "tracking store refuses the run")
    assert result["tracking"]["complete"] is False and result["epochs_trained"] == 0
    assert run(prepare(ask("resume=last")), FOLDER).state == "FINISHED"
    assert recorded().info.status == "FINISHED"


@pytest.mark.usefixtures("workspace")
def test_interrupted_before_the_store_has_it_a_run_is_still_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()

    def slow(*given: Any, **named: Any) -> MlflowRecorder:
        assert interrupted.wait(60)
        return real_start(*given, **named)

    def interrupt(_: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowRecorder, "start", slow)
    with pytest.raises(KeyboardInterrupt):
        run(experiment(), FOLDER, watch=interrupt)
    result = runs.read_result(FOLDER)
    found = recorded()
    assert result is not None and result["state"] == "KILLED" and result["tracking"]["complete"]
    assert found.info.run_id == result["run_id"] and found.info.status == "KILLED"
    assert run(prepare(ask("resume=last")), FOLDER).run_id == found.info.run_id
    assert recorded().info.status == "FINISHED"


@pytest.mark.usefixtures("workspace")
def test_killed_before_the_store_has_it_a_run_goes_on_under_the_id_that_it_gets_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = experiment()
    monkeypatch.setattr(MlflowRecorder, "start", lambda *_, **__: threading.Event().wait(2))
    with monkeypatch.context() as patch:
        # What a kill leaves: the folder as it was when training began.
        patch.setattr("archsearch.live.LiveRun._end_if_possible", lambda *_: None)
        with pytest.raises(RuntimeError, match="killed"):
            run(asked, FOLDER, watch=lambda _: (_ for _ in ()).throw(RuntimeError("killed")))
    monkeypatch.setattr(MlflowRecorder, "start", real_start)
    before = runs.read_result(FOLDER)
    assert before is not None and before["state"] == "RUNNING"
    result = run(prepare(ask(f"resume={before['run_id']}")), FOLDER)
    assert result.state == "FINISHED" and recorded().info.run_id == result.run_id != before["run_id"]
