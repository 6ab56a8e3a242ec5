"""`python -m archsearch.ui`: it serves the store, or says why it cannot."""

import signal
import socket
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from archsearch.sweep.record import Entry, SweepRecord
from archsearch.tracking.store import Store, open_experiment, resolve_store
from archsearch.tracking.sweeps import runs_page
from archsearch.ui import last_sweep_page
from tests.support.command_line import Command
from tests.support.mlflow_server import free_port, web_server
from tests.support.processes import start, wait_until


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which another process listens while the test runs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_without_a_store_it_asks_for_a_first_run(command: Command) -> None:
    done = command(module="archsearch.ui")
    assert done.returncode == 2 and "does not exist yet: train something first" in done.stderr


def test_a_port_in_use_is_named(command: Command, workspace: Path, port: int) -> None:
    open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    done = command(f"ui.port={port}", module="archsearch.ui")
    assert done.returncode == 2 and f"ui.port: got {port}, which is in use" in done.stderr


def test_multirun_is_refused(command: Command) -> None:
    done = command("-m", "seed=1,2", module="archsearch.ui")
    assert done.returncode == 2 and "-m: there is one UI for all runs" in done.stderr


def test_a_half_made_store_asks_for_a_first_run(command: Command, workspace: Path) -> None:
    (workspace / "outputs").mkdir()
    with closing(sqlite3.connect(workspace / "outputs" / "mlflow.db")) as connection:
        connection.execute("CREATE TABLE experiments (x)")
    done = command(module="archsearch.ui")
    assert done.returncode == 2 and "does not exist yet: train something first" in done.stderr


def record_sweep(workspace: Path, store: Store, experiment_id: str) -> None:
    """Leave the record of a sweep, as one in `store` does."""
    folder = workspace / "outputs" / "sweeps" / "a"
    folder.mkdir(parents=True)
    tracking = {"uri": str(store), "experiment_id": experiment_id, "complete": True, "trouble": None}
    entry = Entry(0, "0", "a", {}, [], None, "READY")
    SweepRecord([], "2026-01-01-a", [], [entry], state="FINISHED", tracking=tracking).write(folder)


def test_the_link_opens_the_last_sweep_of_the_store(workspace: Path) -> None:
    store = resolve_store(None, workspace / "outputs")
    record_sweep(workspace, store, "1")
    assert last_sweep_page(store) == runs_page("1", "2026-01-01-a")


def test_without_a_sweep_the_link_opens_the_first_page(workspace: Path) -> None:
    assert not last_sweep_page(resolve_store(None, workspace / "outputs"))


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "sqlite:///x.db"])
def test_a_sweep_of_another_store_is_not_linked(uri: str, workspace: Path) -> None:
    record_sweep(workspace, Store(uri), "1")
    assert not last_sweep_page(resolve_store(None, workspace / "outputs"))


def test_an_mlflow_server_needs_no_ui(command: Command) -> None:
    with web_server(query_status=200) as uri:
        done = command(f"tracking.uri='{uri}'", module="archsearch.ui")
    assert done.returncode == 0 and f"{uri} is an MLflow server itself" in done.stdout


@contextmanager
def running(workspace: Path) -> Iterator[tuple["subprocess.Popen[str]", str, str]]:
    """`archsearch.ui` on a store, the line that it printed, and its address, which must answer from then on."""
    open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    port = free_port()
    process = start(f"ui.port={port}", cwd=workspace, module="archsearch.ui")
    address = f"http://127.0.0.1:{port}"
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline(), address
    finally:
        process.kill()
        process.communicate()
        wait_until(lambda: not listens(address))


def listens(address: str) -> bool:
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.e2e
def test_it_prints_its_address_when_it_answers_and_ends_quietly_on_ctrl_c(workspace: Path) -> None:
    with running(workspace) as (process, line, address):
        assert line.startswith(f"MLflow UI on {address} (Ctrl-C ends it), showing sqlite:///")
        with urllib.request.urlopen(address, timeout=10) as page:
            assert "MLflow" in page.read().decode()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert (output, errors.strip()) == ("", "archsearch: interrupted")
        assert not listens(address)


@pytest.mark.e2e
def test_a_killed_ui_leaves_no_server(workspace: Path) -> None:
    with running(workspace) as (process, _, address):
        assert listens(address)
        process.kill()
        wait_until(lambda: not listens(address), 20)
