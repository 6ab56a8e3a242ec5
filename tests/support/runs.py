"""Runs for tests: trained in this process, or made up."""

import json
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest

from archsearch.runs.folder import OUTPUTS
from archsearch.runs.prepare import prepare
from archsearch.runs.result import Result
from archsearch.runs.train import train_run
from archsearch.tracking.store import open_experiment, resolve_store
from archsearch.training.metrics import EpochMetrics, Score
from tests.support.requests import QUICK, ask

RUN = OUTPUTS / "runs" / "a"
RECIPE = (*QUICK, "model.dropout=0.1", "augment=affine", "model.blocks.conv2.channels=8")  # with random draws
UNRECORDED = ("tracking=none", "tracking.log_figures=false")


@contextmanager
def isolated(folder: Path) -> Iterator[None]:
    """Work in `folder` without the user's environment; for fixtures that live longer than a test."""
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        for name in ("ARCHSEARCH_DATA", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
            patch.delenv(name, raising=False)
        yield


def train_in(folder: Path, *overrides: str, stop: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Train a run in `folder` of the working directory; returns its `result.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    train_run(prepare(ask(*overrides)), folder, stop=stop)
    return result_in(folder)


def interrupt_in(folder: Path, *overrides: str) -> None:
    """Train a run in `folder` that is interrupted after its first epoch."""
    with pytest.raises(KeyboardInterrupt):
        train_in(folder, *overrides, stop=lambda: True)


def result_in(folder: Path) -> dict[str, Any]:
    """The content of `result.json`."""
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    """The part of `result.json` that the seed determines."""
    part = {key: result[key] for key in ("final", "best", "params", "data", "state")}
    history = [
        {key: value for key, value in row.items() if key not in ("seconds", "timestamp")} for row in result["history"]
    ]
    return {**part, "history": history}


def mlflow_client(folder: Path | None = None) -> Any:
    """A client of the SQLite store in `folder` (by default, the working directory)."""
    client, _ = open_experiment(resolve_store(None, (folder or Path()) / OUTPUTS), "archsearch")
    return client


def steps_of(client: Any, run_id: str, key: str = "val/accuracy") -> list[int]:
    """The epochs for which MLflow has a metric."""
    return [point.step for point in client.get_metric_history(run_id, key)]


def epoch(number: int, validation: int | None = 95, test: int | None = None) -> EpochMetrics:
    """An epoch of 100 images per split, of which so many were classified correctly."""
    scores = [None if correct is None else Score(0.4, correct, 100) for correct in (validation, test)]
    return EpochMetrics(number, Score(0.5, 90, 100), scores[0], scores[1], lr=0.1, seconds=2.0, timestamp=1000 * number)


def made_up_result(*history: EpochMetrics, **changes: Any) -> Result:
    """The result of a run that nobody trained."""
    values: dict[str, Any] = {
        "run_id": "0123456789abcdef", "name": "session4", "state": "FINISHED", "seed": 1, "params": 12_954,
        "macs": 2_605_712, "receptive_field": 20, "epochs": max(1, len(history)), "choices": {}, "overrides": [],
        "data": {"name": "mnist", "fingerprint": "-", "fallback": None}, "tracking": {"uri": None},
        "started": "2026-01-01T00:00:00+00:00",
        "history": list(history), "test": Score(0.3, 97, 100) if history else None,
    }  # fmt: skip
    return Result(**values | changes)
