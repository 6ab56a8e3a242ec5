"""The tracking store: many at once, gone at the start, gone half-way: no result is lost."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archsearch.errors import ConfigError, TrackingError
from archsearch.runs.prepare import prepare
from archsearch.runs.train import train_run
from archsearch.tracking.store import Store, check_store, import_mlflow, open_experiment, resolve_store
from tests.support.processes import REPOSITORY, start
from tests.support.requests import QUICK, ask

UNMODELLED = (*QUICK, "tracking.log_model=false")


def test_the_store_is_what_is_said_then_the_variable_then_sqlite(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert resolve_store(None, tmp_path) == Store(f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert resolve_store(None, tmp_path).uri == "http://127.0.0.1:1"
    assert resolve_store("sqlite:///x.db", tmp_path).uri == "sqlite:///x.db"
    with pytest.raises(TrackingError, match="MLflow has given up plain folders"):
        resolve_store("mlruns", tmp_path)


def test_a_path_that_no_database_uri_can_hold_is_refused() -> None:
    with pytest.raises(TrackingError, match=r"a database's URI cannot hold '\?'"):
        resolve_store(None, Path("/what?/outputs"))
    assert Store("sqlite:///x.db?timeout=30").database == Path("x.db")


def test_an_empty_variable_is_no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert resolve_store(None, tmp_path) == Store(f"sqlite:///{tmp_path}/mlflow.db")


def test_passwords_on_the_command_line_are_refused(workspace: Path) -> None:
    with pytest.raises(ConfigError, match=r"me:\*\*\*@127.0.0.1.*set it in MLFLOW_TRACKING_URI instead"):
        prepare(ask(*QUICK, "tracking.uri='http://me:secret@127.0.0.1:9'"))


def test_passwords_are_not_shown() -> None:
    assert str(Store("https://me:secret@example.org/mlflow")) == "https://me:***@example.org/mlflow"


def test_stores_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"does not answer: .*refused.* or use tracking=none"):
        check_store(Store("http://127.0.0.1:9"))
    (tmp_path / "x.db").write_text("this is no database at all")
    with pytest.raises(TrackingError, match="is not a SQLite database"):
        check_store(Store(f"sqlite:///{tmp_path}/x.db"))
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute("create table alembic_version (version_num varchar)")
        database.execute("insert into alembic_version values ('not one of MLflow')")
    with pytest.raises(TrackingError, match="cannot be opened"):
        open_experiment(Store(f"sqlite:///{tmp_path}/old.db"), "archsearch")


def test_first_use_from_several_processes_at_once(workspace: Path) -> None:
    """Each opens the fresh store and logs a run; a database that two migrate together would be destroyed."""
    script = """
import sys
from pathlib import Path
from archsearch.tracking.store import open_experiment, resolve_store
client, experiment = open_experiment(resolve_store(None, Path("outputs")), "archsearch")
run = client.create_run(experiment, run_name=sys.argv[1])
for step in range(5):
    client.log_metric(run.info.run_id, "x", step, step=step)
client.set_terminated(run.info.run_id)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(i)], cwd=workspace, env=environment, stderr=subprocess.PIPE)
        for i in range(4)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    client, experiment = open_experiment(resolve_store(None, Path("outputs")), "archsearch")
    runs = client.search_runs([experiment])
    assert sorted(str(run.info.run_name) for run in runs) == ["0", "1", "2", "3"]
    assert all(len(client.get_metric_history(run.info.run_id, "x")) == 5 for run in runs)
    assert not [e for e in client.search_experiments() if e.name not in ("archsearch", "Default")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real MLflow server on SQLite."""
    import_mlflow()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "served")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = (folder / "server.log").open("ab")
    process = subprocess.Popen(
        [*command, *store], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise AssertionError((folder / "server.log").read_text())
        yield process
    finally:
        kill(process)
        log.close()


def test_a_server_that_dies_half_way_costs_no_result(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import archsearch.runs.train as module
    from archsearch.runs.console import epoch_line as real
    from archsearch.tracking import recorder

    monkeypatch.setattr(recorder, "PATIENCE", 1.0)
    monkeypatch.setattr(recorder, "_PAUSE", 0.1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    serving, port = tmp_path_factory.mktemp("serving"), free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    folder = workspace / "outputs" / "runs" / "a"
    folder.mkdir(parents=True)
    with server(serving, port) as process:

        def kill_after_first_epoch(metrics: object, epochs: int) -> str:
            kill(process)
            return real(metrics, epochs)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "epoch_line", kill_after_first_epoch)
        result = train_run(prepare(ask(*UNMODELLED, "trainer.epochs=3")), folder)
    stored = json.loads((folder / "result.json").read_text())
    assert (stored["state"], stored["epochs_trained"]) == ("FINISHED", 3)
    assert stored["tracking"]["complete"] is False and "refused" in stored["tracking"]["trouble"]
    assert (folder / "predictions.csv").exists()

    with server(serving, port):  # it is back: what is missing is sent, and nothing is sent twice
        train_run(prepare(ask("resume=last")), folder)
        from mlflow import MlflowClient

        client = MlflowClient(f"http://127.0.0.1:{port}")
        record = client.get_run(result.run_id)
        assert record.info.status == "FINISHED" and record.data.metrics["test/accuracy"] > 0
        points = client.get_metric_history(result.run_id, "val/accuracy")
        assert [(p.step, p.value) for p in points] == [(r["epoch"], r["val/accuracy"]) for r in stored["history"]]
        assert "curves.png" in {artifact.path for artifact in client.list_artifacts(result.run_id)}
    stored_again = json.loads((folder / "result.json").read_text())
    assert stored_again["tracking"]["complete"] is True
    assert stored_again["final"] == stored["final"] and stored_again["seconds"] == stored["seconds"]


def test_a_locked_database_is_waited_for(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds SQLite's write lock during the run's first epochs: the run goes on, and nothing is lost."""
    import archsearch.runs.train as module
    from archsearch.runs.console import epoch_line as real
    from archsearch.tracking import recorder

    monkeypatch.setattr(recorder, "_PAUSE", 0.5)
    folder = workspace / "outputs" / "runs" / "a"
    folder.mkdir(parents=True)
    locker: list[sqlite3.Connection] = []

    def lock_after_first_epoch(metrics: object, epochs: int) -> str:
        if not locker:
            locker.append(sqlite3.connect(workspace / "outputs" / "mlflow.db", isolation_level=None))
            locker[0].execute("BEGIN IMMEDIATE")
        elif len(locker) == 1:
            locker[0].execute("ROLLBACK")
            locker[0].close()
            locker.append(locker[0])
        return real(metrics, epochs)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "epoch_line", lock_after_first_epoch)
    result = train_run(prepare(ask(*UNMODELLED, "trainer.epochs=3")), folder)
    assert result.tracking["complete"] is True
    client, _ = open_experiment(resolve_store(None, Path("outputs")), "archsearch")
    assert [point.step for point in client.get_metric_history(result.run_id, "val/loss")] == [1, 2, 3]


def test_an_unreachable_server_is_said_at_once_and_leaves_nothing(workspace: Path) -> None:
    began = time.monotonic()
    process = start(*QUICK, "tracking.uri=http://127.0.0.1:9", cwd=workspace)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and time.monotonic() - began < 20
    assert "tracking store http://127.0.0.1:9 does not answer" in errors and "Traceback" not in errors
    assert not list(workspace.iterdir())
