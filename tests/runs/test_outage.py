"""Runs whose tracking store becomes unreachable: the results are kept, and sent when it returns."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archsearch.tracking import mlflow_recorder
from archsearch.tracking.store import import_mlflow
from tests.support.mlflow_server import MlflowServer
from tests.support.requests import QUICK
from tests.support.runs import RUN, isolated, mlflow_client, result_in, steps_of, train_in

pytestmark = pytest.mark.e2e

PLAIN = (*QUICK, "tracking.log_model=false")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server that `outage` kills and `resumed` starts again."""
    import_mlflow()
    folder = tmp_path_factory.mktemp("server")
    server = MlflowServer(folder, f"sqlite:///{folder}/server.db")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory in which an unreachable store is given up after a second."""
    folder = tmp_path_factory.mktemp("outage")
    with isolated(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_recorder, "PATIENCE", 1.0)
        patch.setattr(mlflow_recorder, "RETRY_SECONDS", 0.1)
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield folder


@pytest.fixture(scope="module")
def outage(server: MlflowServer, folder: Path) -> dict[str, Any]:
    """The result of a run whose server was killed after the first of two epochs."""

    def kill() -> bool:
        server.kill()
        return False

    return train_in(folder / RUN, *QUICK, f"tracking.uri={server.uri}", stop=kill)


@pytest.fixture(scope="module")
def resumed(outage: dict[str, Any], server: MlflowServer, folder: Path) -> dict[str, Any]:
    """The result of resuming that run once the server is back."""
    server.start()
    return train_in(folder / RUN, "resume=last")


def test_an_outage_does_not_stop_a_run(outage: dict[str, Any], folder: Path) -> None:
    assert (outage["state"], outage["epochs_trained"]) == ("FINISHED", 2)
    assert (folder / RUN / "predictions.csv").exists()


def test_the_result_says_that_the_record_is_incomplete(outage: dict[str, Any]) -> None:
    assert outage["tracking"]["complete"] is False and "NewConnectionError" in outage["tracking"]["trouble"]


def test_resuming_sends_what_is_missing_and_nothing_twice(
    outage: dict[str, Any], resumed: dict[str, Any], server: MlflowServer
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(server.uri)
    run = client.get_run(outage["run_id"])
    assert resumed["tracking"]["complete"] is True
    assert run.info.status == "FINISHED" and run.data.metrics["test/accuracy"] == outage["final"]["test/accuracy"]
    points = client.get_metric_history(outage["run_id"], "val/accuracy")
    assert [(point.step, point.value) for point in points] == [
        (row["epoch"], row["val/accuracy"]) for row in outage["history"]
    ]
    assert "curves.png" in {artifact.path for artifact in client.list_artifacts(outage["run_id"])}
    assert run.outputs is not None and len(run.outputs.model_outputs) == 1


def test_resuming_changes_no_result(outage: dict[str, Any], resumed: dict[str, Any]) -> None:
    assert (resumed["final"], resumed["seconds"]) == (outage["final"], outage["seconds"])


@pytest.mark.usefixtures("workspace")
def test_a_run_continues_while_another_process_locks_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_recorder, "RETRY_SECONDS", 0.5)
    connections: list[sqlite3.Connection] = []

    def lock_during_the_second_epoch() -> bool:
        if connections:
            connections[0].close()
        else:
            connections.append(sqlite3.connect("outputs/mlflow.db", isolation_level=None))
            connections[0].execute("BEGIN IMMEDIATE")
        return False

    result = train_in(RUN, *PLAIN, "trainer.epochs=3", stop=lock_during_the_second_epoch)
    assert result_in(RUN)["tracking"]["complete"] is True
    assert steps_of(mlflow_client(), result["run_id"]) == [1, 2, 3]
