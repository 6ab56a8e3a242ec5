"""Runs that a separate process records: training does not wait for MLflow, and nothing is lost."""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import TrackingError
from archsearch.runs.prepare import prepare
from archsearch.runs.recording import recorder_process
from archsearch.runs.result import Result
from archsearch.runs.train import train_run
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.training.trainer import EpochProgress
from tests.support.processes import REPOSITORY, children_of, start, wait_until
from tests.support.requests import QUICK, ask
from tests.support.runs import RUN, mlflow_client, result_in, steps_of, train_in

PLAIN = (*QUICK, "tracking.log_model=false", "tracking.log_figures=false")
Watch = Callable[[RecorderProcess, EpochProgress], None]


def train(*overrides: str, watch: Watch = lambda *_: None) -> Result:
    """Train as the command does. `watch` is called repeatedly during an epoch."""
    RUN.mkdir(parents=True, exist_ok=True)
    prepared = prepare(ask(*overrides))
    with recorder_process(prepared) as process:
        assert process is not None
        recorder = process
        return train_run(prepared, RUN, lambda progress: watch(recorder, progress), recorder_process=recorder)


# Writes down which processes import torch.
WATCH = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._C":
            with open(os.environ["TORCH_IMPORTS"], "a") as file:
                print(os.getpid(), file=file)

sys.meta_path.insert(0, Watch())
"""


def recorded_run() -> Any:
    """The only run in MLflow."""
    (run,) = mlflow_client().search_runs(["1"])
    return run


@contextmanager
def hanging_server(released: threading.Event) -> Iterator[str]:
    """A server that is healthy but answers no other request until `released`, and then denies access."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                released.wait(60)
                with suppress(BrokenPipeError):  # the client has given up
                    self.send_error(403)
                return
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # as in http.server
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.e2e
def test_the_process_that_records_a_run_with_its_model_does_not_import_torch(workspace: Path) -> None:
    (workspace / "sitecustomize.py").write_text(WATCH)
    imports = workspace / "imports"
    environment = {"PYTHONPATH": f"{workspace}{os.pathsep}{REPOSITORY}", "TORCH_IMPORTS": str(imports)}
    process = start(*QUICK, "tracking.log_figures=false", cwd=workspace, **environment)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0 and errors == "", output + errors
    assert imports.read_text().split() == [str(process.pid)]
    (model,) = mlflow_client().search_logged_models(["1"])
    assert model.source_run_id == recorded_run().info.run_id and model.status == "READY"


@pytest.mark.e2e
@pytest.mark.usefixtures("workspace")
def test_the_process_records_the_whole_run() -> None:
    result = train(*PLAIN, "trainer.epochs=1")
    run, stored = recorded_run(), result_in(RUN)
    assert run.info.run_id == result.run_id == stored["run_id"]
    assert run.info.status == "FINISHED" and stored["tracking"]["complete"] is True
    assert run.data.metrics["test/accuracy"] == stored["final"]["test/accuracy"]
    assert steps_of(mlflow_client(), result.run_id) == [1]


@pytest.mark.e2e
@pytest.mark.usefixtures("workspace")
def test_the_process_records_figures_and_model() -> None:
    result = train(*QUICK)
    names = {artifact.path for artifact in mlflow_client().list_artifacts(result.run_id)}
    assert {"curves.png", "predictions.csv", "config.yaml"} <= names
    assert recorded_run().outputs.model_outputs


@pytest.mark.usefixtures("workspace")
def test_without_tracking_no_process_is_started() -> None:
    with recorder_process(prepare(ask(*QUICK, "tracking=none"))) as process:
        assert process is None


@pytest.mark.e2e
@pytest.mark.usefixtures("workspace")
def test_a_store_that_hangs_is_refused_before_training() -> None:
    released = threading.Event()
    try:
        with hanging_server(released) as uri, pytest.raises(TrackingError, match=r"does not answer: timed out"):
            train(*PLAIN, f"tracking.uri={uri}")
    finally:
        released.set()
    assert not (RUN / "result.json").exists()


@pytest.mark.e2e
@pytest.mark.usefixtures("workspace")
def test_a_run_that_the_store_refused_can_be_resumed_with_another_store() -> None:
    released = threading.Event()
    released.set()
    with hanging_server(released) as uri, pytest.raises(TrackingError):
        train(*PLAIN, f"tracking.uri={uri}")
    assert train_in(RUN, "resume=last", "tracking.uri=null")["state"] == "FINISHED"
    assert recorded_run().info.status == "FINISHED"


@pytest.fixture
def interrupted_early(workspace: Path) -> None:
    """A run that was interrupted in its first epoch, before its record was open."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(*PLAIN, watch=interrupt)


@pytest.mark.e2e
@pytest.mark.usefixtures("interrupted_early")
def test_a_run_that_is_interrupted_before_its_record_is_open_is_recorded() -> None:
    run, result = recorded_run(), result_in(RUN)
    assert run.info.status == result["state"] == "KILLED"
    assert run.info.run_id == result["run_id"] and result["tracking"]["complete"]


@pytest.mark.e2e
@pytest.mark.usefixtures("interrupted_early")
def test_a_run_that_is_interrupted_before_its_record_is_open_resumes_in_the_same_record() -> None:
    assert train("resume=last").run_id == recorded_run().info.run_id
    assert recorded_run().info.status == "FINISHED"


@pytest.fixture(params=["before", "after"])
def orphaned(workspace: Path, request: pytest.FixtureRequest) -> Result:
    """A run whose recorder process was killed before or after the record was open."""
    killed = False

    def kill(process: RecorderProcess, _: EpochProgress) -> None:
        nonlocal killed
        if not killed:
            if request.param == "after":
                wait_until(process.opened)
            (child,) = multiprocessing.active_children()
            child.kill()
            killed = True

    return train(*PLAIN, watch=kill)


@pytest.mark.e2e
def test_a_run_finishes_without_its_recorder_process(orphaned: Result) -> None:
    tracking = result_in(RUN)["tracking"]
    assert orphaned.state == "FINISHED"
    assert tracking["complete"] is False and "has died (exit status -9)" in tracking["trouble"]


@pytest.mark.e2e
@pytest.mark.usefixtures("orphaned")
def test_resuming_records_what_a_dead_recorder_process_has_not() -> None:
    result = train_in(RUN, "resume=last")
    run = recorded_run()
    assert result["tracking"]["complete"] is True
    assert (run.info.run_id, run.info.status) == (result["run_id"], "FINISHED")
    assert run.data.metrics["test/accuracy"] == result["final"]["test/accuracy"]


@pytest.mark.e2e
@pytest.mark.usefixtures("workspace")
def test_a_model_that_cannot_be_stored_does_not_hold_back_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    obstacle = Path("outputs/artifacts/models")  # where MLflow puts models
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()
    result = train(*QUICK, "trainer.epochs=1")
    assert "WARNING: MLflow rejected a part of the record" in caplog.text
    assert result.state == "FINISHED" and result.tracking["complete"] is False
    assert recorded_run().info.status == "FINISHED"


def command_of(pid: int) -> bytes:
    """The command line of a process, empty once it has ended (on Linux)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.fixture
def long_run(workspace: Path) -> Iterator[tuple[Any, int]]:
    """The process of a long run, and the process id of its recorder."""
    process = start(*PLAIN, "trainer.epochs=200", cwd=workspace)
    try:
        wait_until(lambda: bool(list(workspace.glob("outputs/runs/*/result.json"))))
        (recorder,) = (pid for pid in children_of(process.pid) if b"resource_tracker" not in command_of(pid))
        yield process, recorder
    finally:
        process.kill()
        process.communicate()


@pytest.mark.e2e
def test_the_process_ignores_the_signals_of_terminals_and_schedulers(
    long_run: tuple[Any, int], workspace: Path
) -> None:
    process, recorder = long_run
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(recorder, number)
    (path,) = workspace.glob("outputs/runs/*/result.json")
    wait_until(lambda: json.loads(path.read_text())["tracking"]["experiment_id"] is not None)
    assert command_of(recorder) and process.poll() is None


@pytest.mark.e2e
def test_the_process_ends_with_the_one_that_started_it(long_run: tuple[Any, int]) -> None:
    process, recorder = long_run
    process.kill()
    process.communicate()
    wait_until(lambda: not command_of(recorder))
