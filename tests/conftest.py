"""What the tests share: composed configurations, runs in a folder of their own, real MNIST where it lies on disk."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# One thread a process: two torch processes that share two cores by four threads wait for each other most of the time.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hydra import compose, initialize_config_dir

from archsearch.overrides import VERSION_BASE, choices_of, config_folder, plain
from archsearch.request import Request

# A shell's background job ignores Ctrl-C and hands that down; what the tests start must not, as in a person's shell.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent
_MNIST = ("MNIST", "raw", "train-images-idx3-ubyte")

# Small enough for a test, large enough to learn something.
QUICK = (
    "data=digits",
    "trainer.epochs=2",
    "trainer.batch_size=64",
    "trainer.threads=1",
    "model=session5_step1",
    "model.width=0.4",
)


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


def ask(*overrides: str) -> Request:
    """What `python -m archsearch` asks for with these overrides."""
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    return Request(plain(config), choices_of(config.hydra), overrides)


Cli = Callable[..., subprocess.CompletedProcess[str]]


def start(*arguments: str, cwd: Path, module: str = "archsearch", **environment: str) -> subprocess.Popen[str]:
    """Start `python -m archsearch` in `cwd`, as a person would, warnings being errors of ours only."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that are still there (on Linux)."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("needs Linux's /proc")
    return [int(word) for word in path.read_text().split()]


@pytest.fixture
def cli(workspace: Path) -> Cli:
    """Runs `python -m archsearch ...` in the workspace until it ends."""

    def run(*arguments: str, module: str = "archsearch", **environment: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments, cwd=workspace, module=module, **environment)
        output, errors = process.communicate(timeout=200)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run


def session4(**changes: Any) -> dict[str, Any]:
    """The `model` section of session4, with `changes` to its blocks (None removes one)."""
    model: dict[str, Any] = ask("model=session4").config["model"]
    for name, change in changes.items():
        if change is None:
            del model["blocks"][name]
        else:
            model["blocks"][name] = {**model["blocks"].get(name, {}), **change}
    return model
