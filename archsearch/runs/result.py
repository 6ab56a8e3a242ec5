"""`result.json`: the state and results of a run, rewritten after every epoch. No torch."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from archsearch.system.atomic import write_text
from archsearch.training.metrics import EpochMetrics, Score, best_epoch

RESULT = "result.json"

State = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]  # MLflow's terms


@dataclass
class Result:
    """The state and results of a run, as in `result.json`."""

    run_id: str
    name: str
    state: State
    seed: int
    params: int
    macs: int
    receptive_field: int
    epochs: int
    choices: dict[str, str]
    overrides: list[str]
    data: dict[str, Any]
    tracking: dict[str, Any]
    started: str
    sweep_run: dict[str, Any] | None = None  # its sweep and number, if it is part of one
    stack: int | None = None  # runs trained as one network, including this one; it may have been resumed alone
    reason: str | None = None
    history: list[EpochMetrics] = field(default_factory=list)
    test: Score | None = None

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`: accuracies in percent, times in seconds."""
        best = best_epoch(self.history)
        final = self.history[-1] if self.history else None
        seconds = sum(metrics.seconds for metrics in self.history)
        images = sum(metrics.train.total for metrics in self.history)
        selected_on = None if best is None else "validation" if best.validation else "test"
        return {
            "run_id": self.run_id,
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "started": self.started,
            "seed": self.seed,
            "choices": self.choices,
            "overrides": self.overrides,
            "sweep_run": self.sweep_run,
            "data": self.data,
            "params": self.params,
            "macs": self.macs,
            "receptive_field": self.receptive_field,
            "epochs": self.epochs,
            "epochs_trained": len(self.history),
            "final": _row(final) | _test_row(self.test) if final else None,
            "best": _row(best) | {"selected_on": selected_on} if best else None,
            "seconds": seconds,
            "evaluation_seconds": sum(metrics.evaluation_seconds for metrics in self.history),
            "images_per_second": images / seconds if seconds else None,
            "stack": self.stack,
            "tracking": self.tracking,
            "history": [_row(metrics) | {"seconds": metrics.seconds} for metrics in self.history],
        }

    def write(self, folder: Path) -> None:
        """Write `result.json` into `folder`."""
        write_text(folder / RESULT, json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n")


def _row(metrics: EpochMetrics) -> dict[str, Any]:
    return {"epoch": metrics.epoch, **metrics.numbers()}


def _test_row(test: Score | None) -> dict[str, Any]:
    return {"test/loss": test.loss, "test/accuracy": test.accuracy} if test else {}


def read_result(folder: Path) -> dict[str, Any] | None:
    """The content of the `result.json` in `folder`, or None if it cannot be read."""
    try:
        content = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
