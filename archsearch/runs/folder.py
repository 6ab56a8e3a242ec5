"""Run folders: what is in them, and finding them. No torch.

A run's folder (`outputs/runs/...`, or a sweep's under `outputs/sweeps/...`) holds `result.json` from its first moment
on, rewritten after every epoch, so that whatever happens to the run, its state and its numbers can be read.
"""

import json
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from archsearch.errors import ResumeError
from archsearch.system.atomic import write_text
from archsearch.training.metrics import EpochMetrics, Score, best_epoch

OUTPUTS = Path("outputs")
RESULT, CHECKPOINT, CONFIG, LAYERS = "result.json", "checkpoint.pt", "config.yaml", "layers.txt"
SWEEP = "sweep.json"  # of a sweep's folder
PREDICTIONS, CURVES, CONFUSION, MISTAKES = "predictions.csv", "curves.png", "confusion.png", "mistakes.png"

State = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]  # MLflow's words


@dataclass
class Result:
    """What is known of a run; `result.json` is this."""

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
    variant: dict[str, Any] | None = None  # of which sweep, if of one
    stack: int | None = None  # how many were trained as one network, itself included; it may have gone on alone later
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
            "variant": self.variant,
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
    """The content of a folder's `result.json`, or None where there is none that can be read."""
    try:
        content = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def resume_argument(result: Result, folder: Path, outputs: Path = OUTPUTS) -> str:
    """What continues a run on the command line: its id where that finds it, else its folder, quoted for a shell."""
    inside = outputs.absolute() in folder.absolute().parents
    return shlex.quote(f"resume={result.run_id if inside else folder}")


def find_run(name: str, outputs: Path = OUTPUTS, setting: str = "resume") -> Path:
    """The folder of the run that `name` means: its folder, its id (or the id's beginning), or `last`.

    Raises `ResumeError`, which names the `setting`, where that is no run, or more than one.
    """
    if (Path(name) / RESULT).is_file():
        return Path(name)
    if (Path(name) / SWEEP).is_file():
        raise ResumeError(
            f"{setting}={name}: this is a sweep, not a run; " + ("add -m" if setting == "resume" else f"sweep={name}")
        )
    found = {path.parent: read_result(path.parent) for path in outputs.glob(f"**/{RESULT}")}
    runs = {folder: result for folder, result in found.items() if result}
    if name == "last":
        if not runs:
            raise ResumeError(f"{setting}=last: there is no run under {outputs}{os.sep}")
        return max(runs, key=lambda folder: str(runs[folder].get("started")))
    matching = [folder for folder, result in runs.items() if str(result.get("run_id", "")).startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ResumeError(f"{setting}={name}: {len(matching)} runs begin like this; give more of the id")
    raise ResumeError(f"{setting}={name}: no run with this id under {outputs}{os.sep}, and no folder with a {RESULT}")


def read_sweep(folder: Path) -> dict[str, Any]:
    """The content of a folder's `sweep.json`. Raises `ResumeError` where it cannot be read."""
    try:
        content = json.loads((folder / SWEEP).read_text(encoding="utf-8"))
        for key in ("variants", "overrides", "hydra", "config_dir"):  # what is read without a closer look
            content[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(f"{folder / SWEEP}: not a sweep's: {type(error).__name__}: {error}") from error
    return dict(content)


def _started(folder: Path) -> str:
    try:
        return str(read_sweep(folder).get("started"))
    except ResumeError:
        return ""


def find_sweep(name: str, outputs: Path = OUTPUTS, setting: str = "resume") -> Path:
    """The folder of the sweep that `name` means: its folder, its folder's name, or `last`.

    Raises `ResumeError`, which names the `setting`, where that is no sweep.
    """
    if (Path(name) / SWEEP).is_file():
        return Path(name)
    found = [path.parent for path in outputs.glob(f"**/{SWEEP}")]
    if name == "last":
        started = {folder: _started(folder) for folder in found}
        readable = [folder for folder in found if started[folder]]
        if readable:
            return max(readable, key=lambda folder: started[folder])
    matching = [folder for folder in found if folder.name == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ResumeError(f"{setting}={name}: {len(matching)} sweeps have this name; give the folder of one")
    which = "" if name == "last" else " of this name"
    raise ResumeError(f"{setting}={name}: no sweep{which} under {outputs}{os.sep}, and no folder with a {SWEEP}")
