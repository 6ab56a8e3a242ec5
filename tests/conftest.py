"""Fixtures for all tests: a clean environment, a folder of their own, commands, the real MNIST where it is on disk."""

import gc
import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

from archsearch.system.process import gc_paused
from tests.support.command_line import Command, run_command
from tests.support.processes import REPOSITORY, Cli, start

# One thread per process: two torch processes with four threads on two cores wait for each other most of the time.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import HealthCheck, settings

# No example fails because the machine is busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A background job ignores Ctrl-C and passes that on to its children; those of the tests must not ignore it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_MNIST = ("MNIST", "raw", "train-images-idx3-ubyte")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector ignore what is imported, and run rarely: it would take a tenth of the tests' time."""
    with gc_paused():
        collected = yield
    gc.set_threshold(100_000, 20, 50)
    return collected


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run a whole command are end-to-end tests, also those that run it in this process."""
    for item in items:
        if not {"command", "report"}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("e2e")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see the data, the store or the Hydra switches of the person who runs them."""
    for name in ("ARCHSEARCH_DATA", "MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """The folder of the real MNIST files; the test is skipped where they are not on disk."""
    candidates = [os.environ.get("ARCHSEARCH_TEST_DATA"), REPOSITORY / "data"]
    for candidate in candidates:
        if candidate is not None and Path(candidate).joinpath(*_MNIST).is_file():
            return Path(candidate)
    pytest.skip("the real MNIST files are not on this machine (ARCHSEARCH_TEST_DATA names their folder)")


@pytest.fixture
def command(workspace: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, with the workspace as working directory."""
    del workspace

    def run(*arguments: str, module: str = "archsearch") -> subprocess.CompletedProcess[str]:
        return run_command(capfd, *arguments, module=module)

    return run


@pytest.fixture
def cli(workspace: Path) -> Cli:
    """Runs a command in a process of its own, with the workspace as working directory."""

    def run(*arguments: str, module: str = "archsearch", **environment: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments, cwd=workspace, module=module, **environment)
        output, errors = process.communicate(timeout=200)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run
