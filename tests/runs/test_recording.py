"""A run whose record is kept by a process beside it: training waits for nothing, and all ends well."""

import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import TrackingError
from archsearch.runs import folder as run_folder
from archsearch.runs.prepare import prepare
from archsearch.runs.recording import recorder_process
from archsearch.runs.result import Result, read_result
from archsearch.runs.train import train_run
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.tracking.store import open_experiment, resolve_store
from archsearch.training.trainer import EpochProgress
from tests.support.processes import children_of, start, wait_until
from tests.support.requests import QUICK, ask

FOLDER = Path("outputs/runs/a")
UNMODELLED = (*QUICK, "tracking.log_model=false", "tracking.log_figures=false")
Watch = Callable[[RecorderProcess, EpochProgress], None]


def train(*overrides: str, watch: Watch = lambda *_: None) -> Result:
    """What the command does; `watch` is called again and again while epochs are trained."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    experiment = prepare(ask(*overrides))
    with recorder_process(experiment) as aside:
        assert aside is not None
        return train_run(experiment, FOLDER, lambda progress: watch(aside, progress), recorder_process=aside)


def recorded() -> Any:
    client, experiment_id = open_experiment(resolve_store(None, run_folder.OUTPUTS), "archsearch")
    (found,) = client.search_runs([experiment_id])
    return found


def stored() -> dict[str, Any]:
    result = read_result(FOLDER)
    assert result is not None
    return result


@contextmanager
def reluctant_server(hesitates_until: threading.Event) -> Iterator[str]:
    """Something that says it is healthy, answers nothing else until then, and then lets nobody in."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                hesitates_until.wait(60)
                self.send_error(403)
                return
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # as http.server has it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("workspace")
def test_a_finished_run_is_on_record_complete() -> None:
    result = train(*QUICK)
    found = recorded()
    assert result.run_id == found.info.run_id == stored()["run_id"] and stored()["tracking"]["complete"] is True
    assert found.info.status == "FINISHED" and found.data.metrics["test/accuracy"] == result.test.accuracy  # type: ignore[union-attr]
    client, _ = open_experiment(resolve_store(None, run_folder.OUTPUTS), "archsearch")
    assert [point.step for point in client.get_metric_history(result.run_id, "val/loss")] == [1, 2]
    names = {artifact.path for artifact in client.list_artifacts(result.run_id)}
    assert {"curves.png", "predictions.csv", "config.yaml"} <= names and found.outputs.model_outputs


@pytest.mark.usefixtures("workspace")
def test_training_does_not_wait_for_a_store_that_hangs_and_goes_on_elsewhere_when_it_refuses() -> None:
    trained = threading.Event()

    def watch(_: RecorderProcess, progress: EpochProgress) -> None:
        if progress.epoch == 3:  # two are over, and the store has said nothing yet
            trained.set()

    with reluctant_server(trained) as uri, pytest.raises(TrackingError, match=r"cannot be opened|refuses the run"):
        train(*UNMODELLED, "trainer.epochs=3", f"tracking.uri={uri}", watch=watch)
    assert trained.is_set() and stored()["epochs_trained"] >= 2
    assert stored()["state"] == "FAILED" and "tracking store" in stored()["reason"]
    assert stored()["tracking"]["complete"] is False
    assert train("resume=last", "tracking.uri=null").state == "FINISHED"
    assert recorded().info.status == "FINISHED" and recorded().data.metrics["val/accuracy"] > 0


@pytest.mark.usefixtures("workspace")
def test_interrupted_before_the_store_has_it_a_run_is_still_on_record() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(*UNMODELLED, watch=interrupt)
    found = recorded()
    assert stored()["state"] == "KILLED" and stored()["tracking"]["complete"]
    assert found.info.run_id == stored()["run_id"] and found.info.status == "KILLED"
    assert train("resume=last").run_id == found.info.run_id
    assert recorded().info.status == "FINISHED"


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("when", ["before", "after"])
def test_without_the_process_that_records_it_a_run_is_trained_and_sent_later(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is killed before the store has the run, or after."""

    def kill(aside: RecorderProcess, _: EpochProgress) -> None:
        if not killed:
            if when == "after":
                wait_until(aside.opened)
            (process,) = multiprocessing.active_children()
            process.kill()
            killed.append(aside)

    killed: list[RecorderProcess] = []

    with caplog.at_level(logging.INFO, "archsearch"):
        assert train(*UNMODELLED, watch=kill).state == "FINISHED"
    assert "the process that records this run has ended (status -9)" in caplog.text
    assert stored()["tracking"]["complete"] is False and "has ended" in stored()["tracking"]["trouble"]
    result = train("resume=last")
    assert result.state == "FINISHED" and stored()["tracking"]["complete"] is True
    found = recorded()
    assert (found.info.run_id, found.info.status) == (result.run_id, "FINISHED")
    assert found.data.metrics["test/accuracy"] == stored()["final"]["test/accuracy"]


@pytest.mark.usefixtures("workspace")
def test_what_it_has_to_say_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = Path("outputs/artifacts/models")  # where MLflow puts models
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    with caplog.at_level(logging.INFO, "archsearch"):
        result = train(*QUICK, "trainer.epochs=1")
    assert "WARNING: MLflow did not take a part of the record" in caplog.text
    assert result.state == "FINISHED" and result.tracking["complete"] is False
    assert recorded().info.status == "FINISHED"


def test_it_survives_ctrl_c_and_ends_with_the_one_that_started_it(workspace: Path) -> None:
    process = start(*UNMODELLED, "trainer.epochs=200", cwd=workspace)
    try:
        wait_until(lambda: bool(list(workspace.glob("outputs/runs/*/result.json"))))
        (mine,) = (pid for pid in children_of(process.pid) if b"resource_tracker" not in command_of(pid))
        for number in (signal.SIGINT, signal.SIGTERM):  # as a terminal and a scheduler send them, to all
            os.kill(mine, number)
        (path,) = workspace.glob("outputs/runs/*/result.json")
        wait_until(lambda: json.loads(path.read_text())["tracking"]["experiment_id"] is not None)
        assert command_of(mine) and process.poll() is None
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: not command_of(mine))


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
