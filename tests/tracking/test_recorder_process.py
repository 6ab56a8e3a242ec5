"""Recording a run in a separate process: it records, its warnings arrive here, and its death raises nothing."""

import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archsearch.tracking.recorder import RunInfo
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.tracking.store import Store, open_experiment
from tests.support.processes import wait_until

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
    return RecorderProcess(Store(f"sqlite:///{folder}/mlflow.db"), "archsearch", models=False)


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


@pytest.mark.e2e
def test_a_process_that_dies_while_the_run_is_open_leaves_an_incomplete_record(tmp_path: Path) -> None:
    with closing(process_for(tmp_path)) as process:
        process.begin(INFO, None)
        assert process.opened(wait=True)
        kill_child()
        wait_until(lambda: not multiprocessing.active_children())
        process.finish("FINISHED")
        assert process.run_id is not None
        assert (process.describe()["experiment_id"], process.describe()["complete"]) == ("1", False)
