"""The interface that records one run, and the recorders that record nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.tracking.messages import redact
from archsearch.tracking.store import Store

if TYPE_CHECKING:
    from archsearch.tracking.models import ModelFiles


@dataclass(frozen=True)
class DataInfo:
    """The data set as MLflow shows it."""

    name: str
    fingerprint: str
    source: str


@dataclass(frozen=True)
class RunInfo:
    """A run's name, params, tags and data set in MLflow."""

    name: str
    params: Mapping[str, object]
    tags: Mapping[str, str]
    data: DataInfo | None = None


class Recorder:
    """Records one run. This class records nothing: it is the interface, and what `tracking=none` uses."""

    run_id: str | None = None
    trouble: str | None = None

    def log_metrics(self, values: Mapping[str, float], step: int, timestamp: int) -> None:
        """Record the `values` of the epoch `step` at `timestamp` (milliseconds since 1970), in one batch."""

    def log_results(self, values: Mapping[str, float], last_epoch: int, timestamp: int) -> None:
        """Record the results of the run, which has trained `last_epoch` epochs, in one batch."""

    def log_artifacts(self, paths: list[Path]) -> None:
        """Record files."""

    def log_model(self, model: "ModelFiles") -> None:
        """Record a trained network."""

    def set_description(self, text: str) -> None:
        """Set the description that MLflow shows with the run."""

    def finish(self, state: str, reason: str | None = None) -> None:
        """End the run as `state`: FINISHED, FAILED, KILLED or STOPPED."""

    def describe(self) -> dict[str, Any]:
        """The `tracking` section of `result.json`."""
        return {"uri": None}


@dataclass
class AbsentRecorder(Recorder):
    """Records nothing, because `store` has not accepted the run. Resuming the run records all of it."""

    store: Store
    trouble: str | None

    def describe(self) -> dict[str, Any]:
        trouble = redact(self.trouble) if self.trouble is not None else None
        return {"uri": str(self.store), "experiment_id": None, "complete": False, "trouble": trouble}
