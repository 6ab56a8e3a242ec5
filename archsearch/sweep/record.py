"""What a sweep leaves on disk: `sweep.json`, beside the folders of its variants. No torch.

`sweep.json` says which variants there are, by number and fingerprint, and what is known of each that its own
`result.json` does not say. It is written before anything trains, and by rename.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from archsearch.errors import ResumeError
from archsearch.runs.folder import RESULT, SWEEP, read_result, read_sweep
from archsearch.sweep.plan import Variant
from archsearch.system.atomic import write_text

FORMAT = 1
SweepState = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass
class Entry:
    """One variant, as `sweep.json` has it."""

    number: int
    folder: str  # within the sweep's
    name: str
    values: dict[str, str]  # of what varies
    overrides: list[str]
    fingerprint: str | None
    verdict: str
    reason: str | None = None  # why it is not trained, or why its last attempt failed
    params: int | None = None
    macs: int | None = None
    receptive_field: int | None = None
    same_as: int | None = None
    failed: bool = False  # in its last attempt, whatever its own folder says

    @classmethod
    def of(cls, variant: Variant, folder: str) -> "Entry":
        """What is known of `variant` before it is trained."""
        network = variant.network
        return cls(
            variant.number,
            folder,
            variant.row.name,
            dict(variant.row.values),
            list(variant.row.words),
            variant.fingerprint,
            variant.verdict,
            variant.reason,
            params=network.params if network else None,
            macs=network.macs if network else None,
            receptive_field=network.receptive_field if network else None,
            same_as=variant.same_as,
        )


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
        if content.pop("format", None) != FORMAT:
            raise ResumeError(f"{folder / SWEEP}: written by another version of archsearch")
        try:
            return cls(entries=[Entry(**entry) for entry in content.pop("variants")], **content)
        except TypeError as error:
            raise ResumeError(f"{folder / SWEEP}: damaged: {error}") from error

    def write(self, folder: Path) -> None:
        """Write `sweep.json` into `folder`."""
        content = {"format": FORMAT, **vars(self), "variants": [asdict(entry) for entry in self.entries]}
        del content["entries"]
        write_text(folder / SWEEP, json.dumps(content, indent=1) + "\n")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep two processes from working on the same sweep. Raises `ResumeError`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ResumeError(f"another process is working on the sweep in {folder}; wait for it, or stop it") from None


def is_finished(folder: Path) -> bool:
    """Whether the variant in `folder` is trained and nothing of it is left to do."""
    result = read_result(folder) or {}
    return bool(result.get("state") == "FINISHED" and result.get("tracking", {}).get("complete", True))


def put_on_record(folder: Path, reason: str) -> str | None:
    """Say in the `result.json` of `folder` that its process died, unless the run could still say how it ended.

    Returns the run's id in MLflow, if it has to be told, too.
    """
    result = read_result(folder)
    if result is None or result["state"] != "RUNNING":
        return None
    result |= {"state": "FAILED", "reason": reason}
    write_text(folder / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
    return str(result["run_id"]) if result["tracking"].get("uri") else None
