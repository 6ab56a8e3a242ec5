"""A real MLflow server for tests, which can be killed and started again; and one that only pretends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.processes import wait_until
from tests.support.sweeps import record_of, results_of, states_of


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MlflowServer:
    """`mlflow server` on `port`. The store is `backend`; artifacts and log are in `folder`."""

    def __init__(self, folder: Path, backend: str, port: int | None = None) -> None:
        self.folder, self.backend, self.port = folder, backend, port or free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        log = (self.folder / "server.log").open("ab")
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port)]
        store = ["--backend-store-uri", self.backend, "--artifacts-destination", str(self.folder / "kept")]
        environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(
            [*command, *store], cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        wait_until(self._answers)

    def kill(self) -> None:
        """Kill the server and its workers, if they are running."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
        except OSError:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            return False
        return True


@contextmanager
def web_server(*, query_status: int | None) -> Iterator[str]:
    """A server that answers `/health`. It answers queries with `query_status`; None never answers them."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith("/health"):
                if query_status is None:
                    ended.wait(30)
                    return
                self.send_response(query_status)
            else:
                self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/prefix"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def check_all_is_recorded(uri: str, workspace: Path, runs: int, epochs: int) -> None:
    """Every run of the workspace's sweep is in MLflow: no lost run, no lost metric, nothing twice."""
    from mlflow import MlflowClient

    results, record = results_of(workspace), record_of(workspace)
    assert states_of(workspace) == dict.fromkeys(range(runs), "FINISHED")
    assert all(result["tracking"]["complete"] for result in results.values())
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("archsearch")
    assert experiment is not None
    recorded = client.search_runs([experiment.experiment_id], f'tags.sweep = "{record["id"]}"')
    by_number: dict[int, Any] = {int(run.data.tags["sweep.run"]): run for run in recorded}
    assert len(recorded) == len(by_number) == runs
    for number, run in by_number.items():
        result = results[number]
        assert (run.info.run_id, run.info.status) == (result["run_id"], "FINISHED")
        assert run.data.tags["mlflow.parentRunId"] == record["tracking"]["run_id"]
        history = client.get_metric_history(run.info.run_id, "val/accuracy")
        expected = [(row["epoch"], row["val/accuracy"]) for row in result["history"]]
        assert [(point.step, point.value) for point in history] == expected
        assert len(history) == epochs
        assert run.data.metrics["test/accuracy"] == result["final"]["test/accuracy"]
        assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {"predictions.csv", "config.yaml"}
    parent = client.get_run(record["tracking"]["run_id"])
    assert parent.info.status == "FINISHED"
    assert "table.csv" in {item.path for item in client.list_artifacts(parent.info.run_id)}
