"""What the tests of sweeps share: planning one, a small one to train, and looking at what it left."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from archsearch.compose.composition import composed_sweep
from archsearch.compose.overrides import complete_arguments
from archsearch.sweep.plan import SweepPlan, plan_sweep

# A tiny network on digits; a variant takes about a second an epoch.
TINY = (
    "data=digits",
    "model=session5_step1",
    "model.width=0.4",
    "trainer.batch_size=64",
)


def sweep_folder(workspace: Path) -> Path:
    (folder,) = workspace.glob("outputs/sweeps/*")
    return folder


def record_of(workspace: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((sweep_folder(workspace) / "sweep.json").read_text())
    return content


def results_of(workspace: Path) -> dict[int, dict[str, Any]]:
    """`result.json` of each variant that has one, by number."""
    paths = workspace.glob("outputs/sweeps/*/*/result.json")
    return {int(path.parent.name): json.loads(path.read_text()) for path in paths}


def states_of(workspace: Path) -> dict[int, str]:
    return {number: result["state"] for number, result in sorted(results_of(workspace).items())}


def table_of(workspace: Path) -> dict[int, dict[str, Any]]:
    content = json.loads((sweep_folder(workspace) / "table.json").read_text())
    return {row["number"]: row for row in content["runs"]}


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def epochs_logged(workspace: Path) -> dict[int, int]:
    """How often each variant has trained an epoch, all attempts together, by its log."""
    logs = workspace.glob("outputs/sweeps/*/*/archsearch.log")
    return {int(log.parent.name): log.read_text().count("Train set: Average loss") for log in logs}


def planned(*words: str) -> SweepPlan:
    with composing(*words) as (loader, master):
        return plan_sweep(loader, master)


@contextmanager
def composing(*words: str) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    with composed_sweep(complete_arguments(["-m", *words])) as found:
        yield found
