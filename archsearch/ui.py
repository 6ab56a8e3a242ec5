"""`python -m archsearch.ui`: the MLflow UI on this project's store, on 127.0.0.1."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archsearch.cli import dispatch, traceless_overrides
from archsearch.errors import ConfigError, Problem, TrackingError

if TYPE_CHECKING:
    from archsearch.compose.request import Request

_HOST = "127.0.0.1"


def main() -> None:
    """Serve the tracking store that the command line names, until Ctrl-C."""
    sys.exit(ui(sys.argv[1:]))


def ui(arguments: Sequence[str]) -> int:
    """Do what the command line `arguments` asks for; returns the exit status."""
    with traceless_overrides() as overrides:
        return dispatch([*arguments, *overrides], _prepare, _serve, _refuse_multirun)


def _refuse_multirun(_arguments: Sequence[str]) -> None:
    raise ConfigError([Problem("-m", "there is one UI for all runs; leave it out")])


def _prepare(request: "Request") -> Any:
    from archsearch.config.settings import parse_settings
    from archsearch.runs.folder import OUTPUTS
    from archsearch.tracking.store import check_store, resolve_store

    settings, problems = parse_settings(request.config)
    if settings is None:
        raise ConfigError(problems)
    store = resolve_store(settings.tracking.uri, OUTPUTS)
    check_store(store)
    if store.database is not None and not store.database.exists():
        raise TrackingError(f"tracking store {store} does not exist yet: train something first")
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
    if store.is_server:
        print(f"{store} is an MLflow server itself: open it in a browser")
        return
    print(f"MLflow UI on http://{_HOST}:{port} (Ctrl-C ends it), showing {store}", flush=True)
    # One worker and no job queue: 2 processes and 0.5 GB instead of 15 and 3 GB.
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", _HOST, "--port", str(port)]
    server = subprocess.Popen([*command, "--backend-store-uri", store.uri], env=environment)
    try:
        status = server.wait()
    finally:
        server.terminate()
        server.wait()
    if status:
        raise TrackingError(f"the MLflow UI ended with status {status}")


if __name__ == "__main__":
    main()
