"""`sweep.json` in a sweep's folder: the list of its runs. No torch.

It lists the runs by number and fingerprint, with everything that is not in the `result.json` of a run. It is written
(atomically, by rename) before training starts.
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
    """One run in `sweep.json`."""

    number: int
    folder: str  # within the sweep's folder
    name: str
    values: dict[str, str]  # of the settings that vary
    overrides: list[str]
    fingerprint: str | None
    state: PlannedState
    reason: str | None = None  # why it is not trained, or why its last attempt failed
    params: int | None = None
    macs: int | None = None
    receptive_field: int | None = None
    same_as: int | None = None
    failed: bool = False  # in its last attempt, even if its folder does not say so


@dataclass
class SweepRecord:
    """The content of `sweep.json`."""

    overrides: list[str]
    id: str  # the `sweep` tag of its runs in MLflow
    keys: list[str]  # the settings that vary
    entries: list[Entry]
    state: SweepState = "RUNNING"
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0  # of training, over all sessions
    tracking: dict[str, Any] = field(default_factory=dict)
    hydra: list[str] = field(default_factory=list)  # overrides of Hydra's own configuration
    config_dir: list[str] = field(default_factory=list)  # folders given with --config-dir
    shown: int | None = None  # the run that has figures and a model, as the best one

    @classmethod
    def read(cls, folder: Path) -> "SweepRecord":
        """Read `sweep.json` in `folder`. Raises `ResumeError` if it is unreadable."""
        content = read_sweep(folder)
        if content.pop("format", None) not in _READABLE:
            raise ResumeError(f"{folder / SWEEP}: has a format that this version of archsearch does not read")
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
    """Lock the sweep in `folder` for this process."""
    folder.mkdir(parents=True, exist_ok=True)
    return exclusive_lock(folder, f"another process is working on the sweep in {folder}; wait for it, or stop it")


def is_finished(folder: Path) -> bool:
    """Whether the run in `folder` is trained and completely recorded."""
    result = read_result(folder) or {}
    return bool(result.get("state") == "FINISHED" and result.get("tracking", {}).get("complete", True))


def record_failure(folder: Path, reason: str) -> str | None:
    """Mark the run in `folder` as failed unless its `result.json` already says how it ended.

    Returns the id of its MLflow run, if it has one that must be marked, too.
    """
    result = read_result(folder)
    if result is None or result["state"] != "RUNNING":
        return None
    result |= {"state": "FAILED", "reason": reason}
    write_text(folder / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
    return str(result["run_id"]) if result["tracking"].get("uri") else None
