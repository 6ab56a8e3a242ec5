"""`python -m archsearch.ui`: it serves the store, or says why it cannot."""

import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from archsearch.tracking.store import open_experiment, resolve_store
from tests.support.command_line import Command
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


@pytest.mark.e2e
def test_it_serves_the_store_until_ctrl_c(workspace: Path) -> None:
    open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start(f"ui.port={port}", cwd=workspace, module="archsearch.ui")

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as page:
                return "MLflow" in page.read().decode()
        except OSError:
            assert process.poll() is None, process.communicate()
            return False

    try:
        wait_until(answers)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
