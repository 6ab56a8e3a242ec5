"""`sweep.json`: the runs of a sweep, beside whose folders it lies. No torch.

It lists the runs by number and fingerprint, with what a run's own `result.json` cannot say. It is written by rename,
before anything trains.
"""

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from archsearch.errors import ResumeError
from archsearch.runs.folder import SWEEP, read_sweep
from archsearch.runs.result import RESULT, read_result
from archsearch.system.atomic import write_text
from archsearch.system.locks import exclusive_lock

FORMAT = 2
_READABLE = (1, 2)

# OVER_BUDGET breaks a constraint, INVALID cannot be trained, DUPLICATE equals another run of the sweep.
PlannedState = Literal["READY", "OVER_BUDGET", "INVALID", "DUPLICATE"]
_FORMAT_1_STATES: dict[str, PlannedState] = {"REJECTED": "OVER_BUDGET", "BROKEN": "INVALID"}
SweepState = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass
class Entry:
    """One run, as `sweep.json` has it."""

    number: int
    folder: str  # within the sweep's
    name: str
    values: dict[str, str]  # of what varies
    overrides: list[str]
    fingerprint: str | None
    state: PlannedState
    reason: str | None = None  # why it is not trained, or why its last attempt failed
    params: int | None = None
    macs: int | None = None
    receptive_field: int | None = None
    same_as: int | None = None
    failed: bool = False  # in its last attempt, whatever its own folder says


@dataclass
class SweepRecord:
    """What is known of a sweep; `sweep.json` is this."""

    overrides: list[str]
    id: str  # what its variants are tagged with in MLflow
    keys: list[str]  # the settings that vary
    entries: list[Entry]
    state: SweepState = "RUNNING"
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0  # spent on it, all in all
    tracking: dict[str, Any] = field(default_factory=dict)
    hydra: list[str] = field(default_factory=list)  # what Hydra itself was told
    config_dir: list[str] = field(default_factory=list)  # where it was told to look
    shown: int | None = None  # the variant that has figures and a model, as the best one

    @classmethod
    def read(cls, folder: Path) -> "SweepRecord":
        """From `sweep.json`. Raises `ResumeError` where that cannot be read."""
        content = read_sweep(folder)
        if content.pop("format", None) not in _READABLE:
            raise ResumeError(f"{folder / SWEEP}: written by another version of archsearch")
        try:
            return cls(entries=[_entry(values) for values in content.pop("runs")], **content)
        except TypeError as error:
            raise ResumeError(f"{folder / SWEEP}: damaged: {error}") from error

    def write(self, folder: Path) -> None:
        """Write `sweep.json` into `folder`."""
        content = {"format": FORMAT, **vars(self), "runs": [asdict(entry) for entry in self.entries]}
        del content["entries"]
        write_text(folder / SWEEP, json.dumps(content, indent=1) + "\n")


def _entry(values: dict[str, Any]) -> Entry:
    if "verdict" in values:  # format 1
        values["state"] = _FORMAT_1_STATES.get(values["verdict"], values["verdict"])
        del values["verdict"]
    return Entry(**values)


def sweep_lock(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from working on the sweep in `folder` at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    return exclusive_lock(folder, f"another process is working on the sweep in {folder}; wait for it, or stop it")


def is_finished(folder: Path) -> bool:
    """Whether the variant in `folder` is trained and nothing of it is left to do."""
    result = read_result(folder) or {}
    return bool(result.get("state") == "FINISHED" and result.get("tracking", {}).get("complete", True))


def record_failure(folder: Path, reason: str) -> str | None:
    """Say in the `result.json` of `folder` that its process died, unless the run could still say how it ended.

    Returns the run's id in MLflow, if it has to be told, too.
    """
    result = read_result(folder)
    if result is None or result["state"] != "RUNNING":
        return None
    result |= {"state": "FAILED", "reason": reason}
    write_text(folder / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
    return str(result["run_id"]) if result["tracking"].get("uri") else None
