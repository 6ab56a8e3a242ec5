"""`result.json`: the state and results of a run, rewritten after every epoch. No torch."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from archsearch.system.atomic import write_text
from archsearch.training.metrics import EpochMetrics, Score, best_epoch

RESULT = "result.json"

# MLflow's terms, and STOPPED for a trial of a search that goes on only if it is among the best.
State = Literal["RUNNING", "FINISHED", "FAILED", "KILLED", "STOPPED"]


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
    precision: str | None = None  # of training steps; unknown in runs of older versions
    stack: int | None = None  # runs trained as one network, including this one; it may have been resumed alone
    reason: str | None = None
    classes: tuple[str, ...] = ()
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
            "final": _row(final) | test_metrics(self.test) if final else None,
            "class_accuracy": self._class_accuracy(),
            "best": _row(best) | {"selected_on": selected_on} if best else None,
            "seconds": seconds,
            "evaluation_seconds": sum(metrics.evaluation_seconds for metrics in self.history),
            "images_per_second": images / seconds if seconds else None,
            "precision": self.precision,
            "stack": self.stack,
            "tracking": self.tracking,
            "history": [
                _row(metrics) | {"seconds": metrics.seconds, "timestamp": metrics.timestamp} for metrics in self.history
            ],
        }

    def _class_accuracy(self) -> dict[str, dict[str, float | None]]:
        """The final accuracy on each class, by split and class."""
        final = self.history[-1] if self.history else None
        validation, last_test = (None, None) if final is None else (final.validation, final.test)
        scores = {"validation": validation, "test": self.test or last_test}
        return {
            split: dict(zip(self.classes, score.by_class, strict=True))
            for split, score in scores.items()
            if score is not None and score.by_class is not None
        }

    def write(self, folder: Path) -> None:
        """Write `result.json` into `folder`."""
        write_text(folder / RESULT, json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n")


def _row(metrics: EpochMetrics) -> dict[str, Any]:
    return {"epoch": metrics.epoch, **metrics.numbers()}


def test_metrics(test: Score | None) -> dict[str, float]:
    """Metrics of the test after training, by their MLflow names; accuracies in percent."""
    if test is None:
        return {}
    balanced = {} if test.balanced_accuracy is None else {"test/balanced_accuracy": test.balanced_accuracy}
    return {"test/loss": test.loss, "test/accuracy": test.accuracy, **balanced}


def read_result(folder: Path) -> dict[str, Any] | None:
    """The content of the `result.json` in `folder`, or None if it is missing, unreadable or damaged.

    Values that are there have the types that `as_dict` gives them. Those that every reader relies on are there.
    """
    path = folder / RESULT
    try:
        if not path.is_file():  # reading a FIFO would wait for ever
            return None
        stored = _Stored.model_validate_json(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    content = {**_EXPECTED, **stored.model_dump(exclude_unset=True)}
    if "macs" not in content:
        content["images_per_second"] = None  # which is of no use without them
    return content


_EXPECTED: dict[str, Any] = {
    "run_id": "",
    "state": "RUNNING",
    "reason": None,
    "started": "",
    "final": None,
    "best": None,
    "seconds": 0.0,
    "epochs_trained": 0,
    "images_per_second": None,
    "tracking": {},
    "history": [],
}


class _Checked(BaseModel):
    """Types of values that may be absent. Other keys, of other versions, are kept as they are."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Row(_Checked):
    __pydantic_extra__: dict[str, float] = Field(init=False)
    epoch: NonNegativeInt = 0
    selected_on: Literal["validation", "test"] | None = None


class _Data(_Checked):
    name: str
    fingerprint: str
    fallback: str | None = None


class _Tracking(_Checked):
    uri: str | None = None
    complete: bool = True


class _Stored(_Checked):
    """The content of a `result.json`, in the order of `Result.as_dict`. Defaults are not used, as they are unset."""

    run_id: Annotated[str, Field(pattern=r"^[^\x00-\x1f/]+$")] = ""
    name: str = ""
    state: State = "RUNNING"
    reason: str | None = None
    started: str = ""
    seed: NonNegativeInt = 0
    choices: dict[str, str] = {}
    overrides: list[str] = []
    sweep_run: dict[str, Any] | None = None
    data: _Data = _Data(name="", fingerprint="")
    params: NonNegativeInt = 0
    macs: NonNegativeInt = 0
    receptive_field: NonNegativeInt = 0
    epochs: NonNegativeInt = 0
    epochs_trained: NonNegativeInt = 0
    final: _Row | None = None
    best: _Row | None = None
    seconds: NonNegativeFloat = 0
    evaluation_seconds: NonNegativeFloat = 0
    images_per_second: PositiveFloat | None = None
    precision: str | None = None
    stack: PositiveInt | None = None
    tracking: _Tracking = _Tracking()
    history: list[_Row] = []
