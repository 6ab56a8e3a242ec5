"""`python -m archsearch.ui`: the MLflow UI on this project's store, on 127.0.0.1."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from archsearch.errors import ArchsearchError, ConfigError, Problem, TrackingError
from archsearch.system.command import run_command, starting
from archsearch.system.screen import doing

if TYPE_CHECKING:
    from archsearch.compose.request import Request
    from archsearch.tracking.store import Store

_HOST = "127.0.0.1"
_START_SECONDS = 120.0  # for the server to answer
_LOG_LINES = 5  # of the server, shown if it fails

# Runs the command of its arguments until that ends, or until standard input is closed: also if this process is killed.
# It has a process group of its own: Ctrl-C reaches this process only, and the group has all processes of the server.
_GUARD = """
import os, signal, subprocess, sys, threading, time
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, lambda *_: None)
def end():
    sys.stdin.buffer.read()
    if not hasattr(os, "killpg"):
        server.kill()
        return
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + 3
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=end, daemon=True).start()
status = server.wait()
time.sleep(0.2)
os._exit(status if status >= 0 else 1)
"""


def ui(arguments: Sequence[str]) -> int:
    """Serve the tracking store that the command line `arguments` names, until Ctrl-C; returns the exit status."""
    with starting():
        from archsearch.cli import dispatch, traceless_overrides

    with traceless_overrides() as overrides:
        return dispatch([*arguments, *overrides], _prepare, _serve, _refuse_multirun, "ui")


def _refuse_multirun(_arguments: Sequence[str]) -> None:
    raise ConfigError([Problem("-m", "there is one UI for all runs; leave it out")])


def _prepare(request: "Request") -> Any:
    from archsearch.config.settings import parse_settings
    from archsearch.runs.folder import OUTPUTS
    from archsearch.tracking.store import check_store, require_store, resolve_store

    settings, problems = parse_settings(request.config)
    if settings is None:
        raise ConfigError(problems)
    store = resolve_store(settings.tracking.uri, OUTPUTS)
    check_store(store)
    require_store(store)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, settings.ui.port))
        except OSError:
            rule = f"got {settings.ui.port}, which is in use; choose another"
            raise ConfigError([Problem("ui.port", rule)]) from None
    return store, settings.ui.port


def _serve(prepared: Any) -> None:
    store, port = prepared
    page = last_sweep_page(store)
    if store.is_server:
        print(f"{store} is an MLflow server itself: open it in a browser")
        return
    address = f"http://{_HOST}:{port}"
    with tempfile.TemporaryFile() as log, _server(store, port, log) as server:
        with doing("starting the MLflow UI"):
            _wait_until_it_answers(server, address, log)
        shows = f"showing the last sweep in {store}" if page else f"showing {store}"
        print(f"MLflow UI on {address}{page} (Ctrl-C ends it), {shows}", flush=True)
        server.wait()
        raise _failure(server, log)


def last_sweep_page(store: "Store") -> str:
    """Path of the page that shows the last sweep recorded in `store`; empty if there is none."""
    from archsearch.runs.folder import find_sweep
    from archsearch.sweep.record import SweepRecord
    from archsearch.tracking.sweeps import runs_page

    try:
        record = SweepRecord.read(find_sweep("last"))
    except (ArchsearchError, OSError):
        return ""
    experiment = record.tracking.get("experiment_id")
    if experiment is None or record.tracking.get("uri") != str(store):
        return ""
    return runs_page(experiment, record.id)


@contextmanager
def _server(store: "Store", port: int, log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """MLflow's server, which ends with the context, and with this process."""
    # One worker and no job queue: 2 processes and 0.5 GB instead of 15 and 3 GB.
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": store.uri,  # not an argument, which every user of the machine can see
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", _HOST, "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-S", "-c", _GUARD, *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", address: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise _failure(server, log) from None
        time.sleep(0.1)


def _failure(server: "subprocess.Popen[bytes]", log: IO[bytes]) -> TrackingError:
    from archsearch.tracking.messages import redact

    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
    status = server.poll()
    problem = f"ended with status {status}" if status is not None else f"does not answer within {_START_SECONDS:.0f} s"
    return TrackingError(redact("\n  ".join([f"the MLflow UI {problem}", *lines])))


if __name__ == "__main__":
    run_command(ui)
