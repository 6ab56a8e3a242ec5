"""Sweeps for tests: planned, trained in this process or beside it, and the files that they leave."""

import contextlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from archsearch.cli import train
from archsearch.compose.composition import composed_sweep
from archsearch.compose.overrides import complete_arguments
from archsearch.sweep.plan import SweepPlan, plan_sweep
from tests.support.command_line import restored_logging
from tests.support.processes import children_of, wait_until

# A tiny network on digits; an epoch takes less than a second.
TINY = (
    "data=digits",
    "model=session5_step1",
    "model.width=0.4",
    "trainer.batch_size=64",
)

HERE = "hydra/launcher=basic"  # which trains in this process, without workers

UNTRACKED = ("-m", *TINY, "tracking=none")
STORE_ONLY = ("-m", *TINY, "tracking.log_model=false")
PATIENCE = 120.0  # seconds


def sweep_folder(workspace: Path) -> Path:
    """The folder of the workspace's only sweep."""
    (folder,) = workspace.glob("outputs/sweeps/*")
    return folder


def record_of(workspace: Path) -> dict[str, Any]:
    """The content of `sweep.json`."""
    content: dict[str, Any] = json.loads((sweep_folder(workspace) / "sweep.json").read_text())
    return content


def results_of(workspace: Path) -> dict[int, dict[str, Any]]:
    """`result.json` of each run that has one, by number."""
    paths = workspace.glob("outputs/sweeps/*/*/result.json")
    return {int(path.parent.name): json.loads(path.read_text()) for path in paths}


def states_of(workspace: Path) -> dict[int, str]:
    """The state of each run that has begun, by number."""
    return {number: result["state"] for number, result in sorted(results_of(workspace).items())}


def table_of(workspace: Path) -> dict[int, dict[str, Any]]:
    """The rows of `table.json` by number."""
    content = json.loads((sweep_folder(workspace) / "table.json").read_text())
    return {row["number"]: row for row in content["runs"]}


def epochs_logged(workspace: Path) -> dict[int, int]:
    """How many epochs each run has trained in all of its attempts, by its log."""
    logs = workspace.glob("outputs/sweeps/*/*/archsearch.log")
    return {int(log.parent.name): log.read_text().count("Train set: Average loss") for log in logs}


@dataclass(frozen=True)
class TrainedSweep:
    """A sweep that was trained in `workspace`, with its output and exit status."""

    workspace: Path
    done: CompletedProcess[str]

    @property
    def folder(self) -> Path:
        return sweep_folder(self.workspace)


def workers_of(process: "Popen[str]") -> list[int]:
    """The process ids of the workers of a sweep that runs in `process` (on Linux)."""
    children = children_of(process.pid)
    return [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def train_sweep(folder: Path, *arguments: str) -> CompletedProcess[str]:
    """What `python -m archsearch -m ARGUMENTS` prints and returns in `folder`; only workers are new processes."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        restored_logging(),
    ):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("ARCHSEARCH_DATA", raising=False)
        patch.chdir(folder)
        status = train(["-m", *arguments])
    return CompletedProcess(list(arguments), status, output.getvalue(), errors.getvalue())


def planned(*overrides: str) -> SweepPlan:
    """The plan of a sweep."""
    with composing(*overrides) as (loader, master):
        return plan_sweep(loader, master)


@contextmanager
def composing(*overrides: str) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Hydra's loader and the configuration of a multirun."""
    with composed_sweep(complete_arguments(["-m", *overrides])) as composed:
        yield composed


class Terminal(io.StringIO):
    """A stream that says that it is a terminal. Its width is what the environment variable COLUMNS says."""

    def isatty(self) -> bool:
        return True


def finish(process: "Popen[str]") -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=240)
    assert "Traceback" not in output + errors
    return process.returncode, output, errors


def wait_for_epochs(workspace: Path, epochs: int) -> None:
    """Wait until all runs together have trained so many epochs."""
    wait_until(lambda: sum(epochs_logged(workspace).values()) >= epochs, PATIENCE)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def database_of(workspace: Path) -> str:
    return f"sqlite:///{workspace}/outputs/mlflow.db"
