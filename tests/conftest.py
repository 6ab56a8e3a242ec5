"""What the tests share: composed configurations, runs in a folder of their own, real MNIST where it lies on disk."""

import os
import signal
import subprocess
from pathlib import Path

from tests.support.processes import REPOSITORY, Cli, start

# One thread a process: two torch processes that share two cores by four threads wait for each other most of the time.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest

# A shell's background job ignores Ctrl-C and hands that down; what the tests start must not, as in a person's shell.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_MNIST = ("MNIST", "raw", "train-images-idx3-ubyte")

# Small enough for a test, large enough to learn something.


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the data, the store or the Hydra switches of the person who runs it."""
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
def cli(workspace: Path) -> Cli:
    """Runs `python -m archsearch ...` in the workspace until it ends."""

    def run(*arguments: str, module: str = "archsearch", **environment: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments, cwd=workspace, module=module, **environment)
        output, errors = process.communicate(timeout=200)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run
