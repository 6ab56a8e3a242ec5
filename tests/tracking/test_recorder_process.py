"""Recording a run in a separate process: it records, its warnings arrive here, and its death raises nothing."""

import logging
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archsearch.tracking import recorder_process
from archsearch.tracking.recorder import RunInfo
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.tracking.store import Store, open_experiment
from tests.support.mlflow_server import free_port
from tests.support.processes import wait_until

pytestmark = pytest.mark.e2e  # MLflow starts in every process

INFO = RunInfo("a run", {"seed": 1}, {})


@dataclass(frozen=True)
class Record:
    """What a recorder process has recorded, described and logged."""

    run: Any
    artifacts: list[str]
    description: dict[str, Any]
    log: str


class ListHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def captured_log() -> Iterator[list[str]]:
    handler = ListHandler()
    logging.getLogger("archsearch").addHandler(handler)
    try:
        yield handler.messages
    finally:
        logging.getLogger("archsearch").removeHandler(handler)


def process_for(folder: Path) -> RecorderProcess:
    return RecorderProcess(Store(f"sqlite:///{folder}/mlflow.db"), "archsearch")


def kill_child() -> None:
    (child,) = multiprocessing.active_children()
    child.kill()


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a run with a metric, a file and a missing file."""
    folder = tmp_path_factory.mktemp("record")
    (folder / "x.txt").touch()
    with captured_log() as messages, closing(process_for(folder)) as process:
        process.begin(INFO, None)
        process.log_metrics({"val/accuracy": 99.0}, 1, 1000)
        process.log_artifacts([folder / "missing.txt", folder / "x.txt"])
        process.set_description("text")
        process.finish("FINISHED")
        run_id, description = process.run_id, process.describe()
    client, _ = open_experiment(process.store, "archsearch")
    assert run_id is not None
    artifacts = [artifact.path for artifact in client.list_artifacts(run_id)]
    return Record(client.get_run(run_id), artifacts, description, "\n".join(messages))


def test_the_run_has_what_was_logged(record: Record) -> None:
    assert (record.run.info.status, record.run.data.metrics) == ("FINISHED", {"val/accuracy": 99.0})
    assert record.run.data.tags["mlflow.note.content"] == "text"
    assert record.artifacts == ["x.txt"]


def test_warnings_of_the_process_are_logged_here(record: Record) -> None:
    assert "WARNING: MLflow rejected a part of the record" in record.log and "missing.txt" in record.log


def test_the_description_is_that_of_the_process(record: Record) -> None:
    assert record.description["complete"] is False and "missing.txt" in record.description["trouble"]


def test_closing_ends_a_process_that_has_not_begun(tmp_path: Path) -> None:
    process = process_for(tmp_path)
    process.close()
    assert not multiprocessing.active_children()


def test_a_process_that_dies_before_the_run_is_open_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(process_for(tmp_path)) as process:
        kill_child()
        process.begin(INFO, None)
        assert process.opened(wait=True) and process.run_id is None
        process.finish("FINISHED")
        assert process.describe()["complete"] is False
        assert "has died (exit status -9)" in process.describe()["trouble"]
    assert "training continues; results are kept in the run's folder" in caplog.text


def test_a_process_that_dies_while_the_run_is_open_leaves_an_incomplete_record(tmp_path: Path) -> None:
    with closing(process_for(tmp_path)) as process:
        process.begin(INFO, None)
        assert process.opened(wait=True)
        kill_child()
        wait_until(lambda: not multiprocessing.active_children())
        process.finish("FINISHED")
        assert process.run_id is not None
        assert (process.describe()["experiment_id"], process.describe()["complete"]) == ("1", False)


@contextmanager
def write_lock(store: Store) -> Iterator[None]:
    """Hold the write lock of a SQLite store, as another program may."""
    assert store.database is not None
    connection = sqlite3.connect(store.database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that exists."""
    folder = tmp_path_factory.mktemp("shared")
    store = Store(f"sqlite:///{folder}/mlflow.db")
    open_experiment(store, "archsearch")
    return store


def runs_of(store: Store, name: str) -> list[Any]:
    client, experiment = open_experiment(store, "archsearch")
    return list(client.search_runs([experiment], f"attributes.run_name = '{name}'"))


def test_a_run_that_begins_while_the_store_is_locked_is_recorded_when_it_is_not(shared: Store) -> None:
    with captured_log() as messages, closing(RecorderProcess(shared, "archsearch")) as process:
        with write_lock(shared):
            process.begin(RunInfo("late", {"seed": 1}, {}), None)
            process.log_metrics({"val/accuracy": 99.0}, 1, 1000)
            wait_until(lambda: not process.opened() and bool(messages))
        assert process.opened(wait=True)
        process.finish("FINISHED")
        assert process.describe()["complete"] is True
    (run,) = runs_of(shared, "late")
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"val/accuracy": 99.0})
    (warning,) = [message for message in messages if "WARNING" in message]
    assert "cannot be written: database is locked\n  training continues" in warning and "SQL" not in warning[9:]


def test_a_store_that_stays_locked_leaves_the_record_incomplete(shared: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_process, "OPENING_PATIENCE", 0.5)
    with closing(RecorderProcess(shared, "archsearch")) as process, write_lock(shared):
        process.begin(RunInfo("never", {}, {}), None)
        assert process.opened(wait=True) and process.run_id is None
        process.finish("FINISHED")
        assert process.describe()["complete"] is False
        assert process.describe()["trouble"].endswith("cannot be written: database is locked")
    assert not runs_of(shared, "never")


def begin_and_die(store: Store, name: str, epochs: int) -> None:
    """A training process that is killed after some epochs."""
    process = RecorderProcess(store, "archsearch")
    process.begin(RunInfo(name, {"seed": 1}, {"folder": "/a"}), None)
    process.opened(wait=True)
    for epoch in range(1, epochs + 1):
        process.log_metrics({"val/accuracy": 99.0}, epoch, 1000 * epoch)
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after(store: Store, name: str, epochs: int) -> list[Any]:
    """The runs in MLflow of a process that was killed after some epochs."""
    process = multiprocessing.get_context("spawn").Process(target=begin_and_die, args=(store, name, epochs))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    wait_until(lambda: all(run.info.status != "RUNNING" for run in runs_of(store, name)))
    return runs_of(store, name)


def test_a_killed_run_does_not_stay_running(shared: Store) -> None:
    (run,) = killed_after(shared, "killed", epochs=2)
    assert (run.info.status, run.data.tags["state"]) == ("KILLED", "KILLED")
    assert run.data.tags["reason"] == "the training process was killed"
    assert run.data.metrics == {"val/accuracy": 99.0}


def test_a_run_that_is_killed_before_a_file_names_it_leaves_no_run(shared: Store) -> None:
    assert not killed_after(shared, "unnamed", epochs=0)


def test_passwords_in_lines_of_the_process_are_removed(tmp_path: Path) -> None:
    store = Store(f"http://me:Gh3im-Nis@127.0.0.1:{free_port()}")
    with captured_log() as messages, closing(RecorderProcess(store, "archsearch")) as process:
        process.begin(INFO, None)
        wait_until(lambda: not process.opened() and bool(messages))
        described = process.describe()
    text = f"{messages} {described}"
    assert "http://me:***@127.0.0.1" in text and "Gh3im-Nis" not in text
