"""What cannot be a tracking store is refused before training, and servers are given a limited time to answer."""

import socket
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from archsearch.config.schema import read
from archsearch.config.settings import TrackingSettings
from archsearch.errors import TrackingError
from archsearch.tracking import uris
from archsearch.tracking.store import Store, check_store, resolve_store
from tests.support.mlflow_server import web_server

MALFORMED = {
    "foo://bar": "is none that MLflow knows",
    "uc://catalog": "is none that MLflow knows",
    "mlruns:": "is none that MLflow knows",
    "file:///tmp/mlruns": "use sqlite:////tmp/mlruns/mlflow.db",
    "sqlite://": "is in memory and keeps nothing",
    "sqlite:///": "is in memory and keeps nothing",
    "sqlite:///:memory:": "is in memory and keeps nothing",
    "sqlite:///file:x?mode=memory&uri=true": "is in memory and keeps nothing",
    "sqlite://host/x.db": "must have the form sqlite:///<file>",
    "sqlite+pysqlite:///x.db": "must have the form sqlite:///<file>",
    "http://": "names no server",
    "http://[::1": "is not a valid URI",
    "http://127.0.0.1:99999": "is not a valid URI",
    "postgresql+nosuchdriver://127.0.0.1/x": "needs the package nosuchdriver, which is not installed",
    "databricks": "is not configured: set DATABRICKS_HOST",
    "databricks://profile": "is not configured: set DATABRICKS_HOST",
}


@pytest.fixture(autouse=True)
def _no_databricks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABRICKS_HOST", "DATABRICKS_RUNTIME_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.mark.parametrize(("uri", "reason"), MALFORMED.items(), ids=MALFORMED)
def test_what_cannot_be_a_store_is_refused(uri: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError) as refusal:
        resolve_store(uri, tmp_path)
    assert reason in str(refusal.value) and "or use tracking=none" in str(refusal.value)


@pytest.mark.parametrize(
    "uri", ["sqlite:///x.db", "sqlite:////tmp/x.db?timeout=30", "http://127.0.0.1:1", "https://me:secret@example.org/a"]
)
def test_stores_of_mlflow_are_accepted(uri: str, tmp_path: Path) -> None:
    assert resolve_store(uri, tmp_path).uri == uri


def test_databricks_is_accepted_once_it_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "https://example.org")
    assert resolve_store("databricks", tmp_path).uri == "databricks"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_a_database_where_no_file_can_be_made_is_refused_at_once() -> None:
    with pytest.raises(TrackingError, match="cannot be created: /proc: "):
        check_store(Store("sqlite:////proc/x.db"))


def test_a_folder_in_the_place_of_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="is not a file"):
        check_store(Store(f"sqlite:///{tmp_path}"))


def test_checking_a_database_creates_nothing(tmp_path: Path) -> None:
    check_store(Store(f"sqlite:///{tmp_path}/new/x.db"))
    assert not list(tmp_path.iterdir())


def test_a_database_server_that_does_not_listen_is_refused() -> None:
    assert "refused" in str(uris.unreachable_server("postgresql://me:secret@127.0.0.1:1/x"))


def test_a_database_server_that_listens_is_accepted() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        assert uris.unreachable_server(f"mysql+pymysql://127.0.0.1:{listener.getsockname()[1]}/x") is None


@pytest.mark.parametrize("status", [404, 500])
def test_what_answers_unlike_an_mlflow_server_is_refused(status: int) -> None:
    with web_server(query_status=status) as uri:
        assert uris.unreachable_server(uri) == f"does not answer like an MLflow server: status {status}"


def test_a_web_page_is_no_mlflow_server(tmp_path: Path) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        problem = uris.unreachable_server(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert problem == "does not answer like an MLflow server: got no JSON"


@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_server_that_answers_queries_is_accepted_even_without_permission(status: int) -> None:
    with web_server(query_status=status) as uri:
        assert uris.unreachable_server(uri) is None


def test_a_server_that_is_healthy_but_answers_no_query_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert uris.HEALTH_SECONDS + uris.API_SECONDS <= 15
    monkeypatch.setattr(uris, "API_SECONDS", 0.3)
    begun = time.monotonic()
    with web_server(query_status=None) as uri:
        assert uris.unreachable_server(uri) == "does not answer: timed out"
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must have a character other than spaces"),
        ("   ", "must have a character other than spaces"),
        ("x" * 251, "must have at most 250 characters, has 251"),
        ("a\tb", "must not contain control characters"),
    ],
    ids=["empty", "spaces", "long", "tab"],
)
def test_an_experiment_name_that_mlflow_cannot_take_is_refused(name: str, rule: str) -> None:
    _, problems = read(TrackingSettings, {"experiment": name}, "tracking")
    (problem,) = problems
    assert problem.path == "tracking.experiment" and problem.message.endswith(rule)


def test_an_experiment_name_may_be_250_letters_of_any_language() -> None:
    assert not read(TrackingSettings, {"experiment": "ä b" + "x" * 247}, "tracking")[1]
