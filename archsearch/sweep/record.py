"""`sweep.json` in a sweep's folder: the list of its runs. No torch.

It lists the runs by number and fingerprint, with everything that is not in the `result.json` of a run. It is written
(atomically, by rename) before training starts.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, NonNegativeFloat, NonNegativeInt, TypeAdapter, ValidationError

from archsearch.config.augment import present_name
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

_CHECKED = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # how a file is read
_MOST_PROBLEMS = 3  # of a damaged file that are named


def _check_tracking(tracking: dict[str, Any]) -> dict[str, Any]:
    for key, kind in {"uri": str, "experiment_id": str, "run_id": str, "complete": bool}.items():
        if tracking.get(key) is not None and not isinstance(tracking[key], kind):
            raise ValueError(f"its {key} is {tracking[key]!r}")
    if tracking.get("uri") is not None and not {"experiment_id", "complete"} <= {
        key for key, value in tracking.items() if value is not None
    }:
        raise ValueError("its experiment_id or complete is missing")
    return tracking


@dataclass
class Entry:
    """One run in `sweep.json`."""

    __pydantic_config__: ClassVar[ConfigDict] = _CHECKED

    number: NonNegativeInt
    folder: str  # within the sweep's folder
    name: str
    values: dict[str, str]  # of the settings that vary
    overrides: list[str]
    fingerprint: str | None
    state: PlannedState
    reason: str | None = None  # why it is not trained, or why its last attempt failed
    params: NonNegativeInt | None = None
    macs: NonNegativeInt | None = None
    receptive_field: NonNegativeInt | None = None
    same_as: int | None = None
    failed: bool = False  # in its last attempt, even if its folder does not say so


@dataclass
class SweepRecord:
    """The content of `sweep.json`."""

    __pydantic_config__: ClassVar[ConfigDict] = _CHECKED

    overrides: list[str]
    id: str  # the `sweep` tag of its runs in MLflow
    keys: list[str]  # the settings that vary
    entries: list[Entry]
    state: SweepState = "RUNNING"
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: NonNegativeFloat = 0.0  # of training, over all sessions
    tracking: Annotated[dict[str, Any], AfterValidator(_check_tracking)] = field(default_factory=dict)
    hydra: list[str] = field(default_factory=list)  # overrides of Hydra's own configuration
    config_dir: list[str] = field(default_factory=list)  # folders given with --config-dir
    shown: int | None = None  # the run that has figures and a model, as the best one
    precision: Literal["float32", "bfloat16"] = "float32"  # what trainer.precision=auto stands for; it came later
    evaluated: bool = False  # its trials are not trained: a function of the user's evaluates them; it came later, too

    @classmethod
    def read(cls, folder: Path) -> "SweepRecord":
        """Read `sweep.json` in `folder`. Raises `ResumeError`, which names the key, if it is damaged."""
        content = read_sweep(folder)
        if content.pop("format", None) not in _READABLE:
            raise ResumeError(f"{folder / SWEEP}: has a format that this version of archsearch does not read")
        content["entries"] = [_in_this_format(values) for values in content.pop("runs")]
        try:
            # As JSON, because strict mode reads nested dataclasses from mappings only in JSON.
            record: SweepRecord = _adapter().validate_json(json.dumps(content))
            problems = list(record._problems(folder))
        except (ValidationError, RecursionError) as error:
            problems = list(_problems_of(error)) if isinstance(error, ValidationError) else ["it is nested too deeply"]
        if problems:
            more = f", and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
            listed = "; ".join(problems[:_MOST_PROBLEMS])
            raise ResumeError(f"{folder / SWEEP}: damaged: {listed}{more}; restore it, or start a new sweep")
        record.keys = list(dict.fromkeys(map(present_name, record.keys)))
        for entry in record.entries:
            entry.values = {present_name(key): value for key, value in entry.values.items()}
        return record

    def _problems(self, folder: Path) -> Iterator[str]:
        """What does not fit together, or lies outside of `folder`."""
        numbers: set[int] = set()
        folders: set[str] = set()
        for position, entry in enumerate(self.entries):
            rule = refuse_outside(folder, entry.folder)
            if rule is not None:
                yield f"runs.{position}.folder: got {entry.folder!r}, {rule}"
            if entry.number in numbers:
                yield f"runs.{position}.number: {entry.number} is the number of an earlier run, too"
            if entry.folder in folders:
                yield f"runs.{position}.folder: {entry.folder!r} is the folder of an earlier run, too"
            numbers.add(entry.number)
            folders.add(entry.folder)
        for position, entry in enumerate(self.entries):
            if entry.same_as is not None and (entry.same_as not in numbers or entry.same_as == entry.number):
                yield f"runs.{position}.same_as: got {entry.same_as}, must be the number of another run"
        if not self.entries:
            yield "runs: got an empty list"

    def write(self, folder: Path) -> None:
        """Write `sweep.json` into `folder`."""
        content = {"format": FORMAT, **vars(self), "runs": [asdict(entry) for entry in self.entries]}
        del content["entries"]
        write_text(folder / SWEEP, json.dumps(content, indent=1) + "\n")


def refuse_outside(folder: Path, subdir: str) -> str | None:
    """Why `subdir` cannot be the folder of a run in the sweep's `folder`; None if it can be."""
    try:
        inside = bool(subdir.strip()) and folder.resolve() in (folder / subdir).resolve().parents
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null character
        return f"which cannot be a folder: {error}"
    return None if inside else "must be a folder inside the sweep's folder"


@cache
def _adapter() -> TypeAdapter[SweepRecord]:
    return TypeAdapter(SweepRecord)


def _problems_of(error: ValidationError) -> Iterator[str]:
    for details in error.errors():
        where = ".".join("runs" if part == "entries" else str(part) for part in details["loc"])
        rule = details["msg"].replace("Input should be", "must be").replace("Value error, ", "")
        shown = "" if details["type"] in ("missing", "value_error") else f"got {details['input']!r:.60}, "
        yield f"{where or 'it'}: {shown}{rule[:1].lower()}{rule[1:]}"


def _in_this_format(values: Any) -> Any:
    """An entry with the names and states of this format; damaged ones as they are."""
    if not isinstance(values, Mapping) or "verdict" not in values:
        return values
    state = values["verdict"]
    known = _FORMAT_1_STATES.get(state, state) if isinstance(state, str) else state
    return {**{key: value for key, value in values.items() if key != "verdict"}, "state": known}


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
