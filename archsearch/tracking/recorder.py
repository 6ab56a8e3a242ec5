"""One run's record in MLflow, kept here until the store has taken it.

A tracking store may stop answering while a network trains for hours. So nothing that happens in MLflow raises here once
the run has started: while the store is away, what could not be sent is kept in order and sent again after the next
epoch and at the end. A write that fails although the store answers (a model that cannot be exported, say) is tried
once more and then given up, so that nothing waits behind it. Every write can safely be repeated, because metrics
carry the time of their epoch.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import TrackingError, first_line
from archsearch.tracking.models import as_model, quiet_export
from archsearch.tracking.store import Store, open_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from torch import nn

log = logging.getLogger(__name__)

_HELD = 2.0  # seconds between two sendings of metrics; each costs as much as training a tiny network for an epoch
_MOST = 900  # metrics in one sending; MLflow takes 1,000
_PAUSE = 10.0  # seconds until a store that did not answer is asked again
PATIENCE = 60.0  # seconds that a run waits, at its very end, for a store that does not answer


@dataclass(frozen=True)
class RunInfo:
    """What a run is called, and what a person wants to know of it in MLflow."""

    name: str
    params: Mapping[str, object]
    tags: Mapping[str, str]
    data: "DataInfo | None" = None


@dataclass(frozen=True)
class DataInfo:
    """The data set as MLflow shows it."""

    name: str
    fingerprint: str
    source: str


class Recorder:
    """Records nothing: what a run uses with tracking=none, and the interface of the one that does record."""

    run_id: str | None = None
    trouble: str | None = None

    def metrics(self, values: Mapping[str, float], step: int, timestamp: int) -> None:
        """Record `values` at `step` (an epoch) and `timestamp` (milliseconds), in one batch."""

    def artifacts(self, paths: list[Path]) -> None:
        """Record files."""

    def model(self, network: "nn.Module", example: NDArray[np.float32]) -> None:
        """Record a trained network (on the CPU) with its signature; `example` is a batch of two or more inputs."""

    def describe_run(self, text: str) -> None:
        """Set the description that MLflow shows with the run."""

    def finish(self, state: str, reason: str | None = None) -> None:
        """End the run as `state`: FINISHED, FAILED or KILLED."""

    def describe(self) -> dict[str, Any]:
        """What `result.json` says about tracking."""
        return {"uri": None}


@dataclass
class AbsentRecorder(Recorder):
    """Records nothing, because `store` did not take the run: what resuming the run is to send, all of it."""

    store: Store
    trouble: str | None

    def describe(self) -> dict[str, Any]:
        return {"uri": str(self.store), "experiment_id": None, "complete": False, "trouble": self.trouble}


@dataclass
class MlflowRecorder(Recorder):
    """Records a run in MLflow. Make one with `start`."""

    client: "MlflowClient"
    store: Store
    experiment_id: str
    run_id: str
    trouble: str | None = None
    patience: float = PATIENCE
    _held: list["Metric"] = field(default_factory=list)  # for the next sending
    _sent: float = float("-inf")  # when metrics were sent last, on the monotonic clock
    _note: str | None = None
    _waiting: list[Callable[[], object]] = field(default_factory=list)
    _failures: int = 0  # of the first that waits, while the store answered
    _given_up: list[str] = field(default_factory=list)
    _not_before: float = 0.0  # when to try again, on the monotonic clock

    @classmethod
    def start(
        cls,
        store: Store,
        experiment: str,
        info: RunInfo,
        run_id: str | None = None,
        patience: float | None = None,
    ) -> "MlflowRecorder":
        """Open a new run in `experiment`, or run `run_id` again. Raises `TrackingError` where that fails.

        `patience` (seconds) is how long the end of the run waits for a store that went away.
        """
        client, experiment_id = open_experiment(store, experiment)
        from mlflow.entities import Param, RunTag

        created = None
        known: Mapping[str, str] = {}
        try:
            if run_id is None or not _is_known(client, run_id):
                run_id = created = client.create_run(experiment_id, run_name=info.name).info.run_id
            else:
                client.update_run(run_id, status="RUNNING")
                before = client.get_run(run_id).data
                known = before.params  # which MLflow would not let change, were it only from 0 to 0.0
                if "reason" in before.tags:
                    client.delete_tag(run_id, "reason")
            params = [Param(key, as_text(value)) for key, value in info.params.items() if key not in known]
            tags = [RunTag(key, value) for key, value in {**info.tags, "state": "RUNNING"}.items()]
            client.log_batch(run_id, params=params, tags=tags)
            if info.data is not None and created is not None:
                client.log_inputs(run_id, [_dataset_input(info.data)])
        except BaseException as error:
            if created is not None:
                with suppress(Exception):
                    client.set_terminated(created, "FAILED" if isinstance(error, Exception) else "KILLED")
            if not isinstance(error, Exception):
                raise
            raise TrackingError(f"tracking store {store} refuses the run: {first_line(error)}") from error
        return cls(client, store, experiment_id, run_id, patience=PATIENCE if patience is None else patience)

    def metrics(self, values: Mapping[str, float], step: int, timestamp: int) -> None:
        from mlflow.entities import Metric

        self._held += [Metric(key, value, timestamp, step) for key, value in values.items()]
        if time.monotonic() - self._sent >= _HELD or len(self._held) >= _MOST:
            self._send_held()

    def artifacts(self, paths: list[Path]) -> None:
        for path in paths:
            self._send(lambda path=path: self.client.log_artifact(self.run_id, str(path)))  # type: ignore[misc]

    def model(self, network: "nn.Module", example: NDArray[np.float32]) -> None:
        self._send(lambda: self._log_model(network, example))

    def describe_run(self, text: str) -> None:
        self._note = text

    def finish(self, state: str, reason: str | None = None) -> None:
        from mlflow.entities import RunTag

        said = {"state": state, "reason": reason, "mlflow.note.content": self._note}
        tags = [RunTag(key, value) for key, value in said.items() if value is not None]
        self._send(lambda: self.client.log_batch(self.run_id, tags=tags))
        self._send(lambda: self.client.set_terminated(self.run_id, state))
        deadline = time.monotonic() + (self.patience if state == "FINISHED" else 0)
        while self._waiting and self._not_before < deadline:
            log.info("waiting for the tracking store (%.0f s at most)", deadline - time.monotonic())
            time.sleep(max(0.0, self._not_before - time.monotonic()))
            self._flush()

    def describe(self) -> dict[str, Any]:
        return {
            "uri": str(self.store),
            "experiment_id": self.experiment_id,
            "complete": not self._held and not self._waiting and not self._given_up,
            "trouble": "; ".join([*self._given_up, *([self.trouble] if self.trouble else [])]) or None,
        }

    def _log_model(self, network: "nn.Module", example: NDArray[np.float32]) -> None:
        import mlflow

        mlflow.set_tracking_uri(self.store.uri)
        # The fluent API knows models; it has to be told the run, and must not end it: `finish` says how it ended.
        mlflow.start_run(run_id=self.run_id, log_system_metrics=False)
        try:
            with quiet_export():
                mlflow.pytorch.log_model(name="model", **as_model(network, example))
        finally:
            mlflow.end_run("RUNNING")

    def _send_held(self) -> None:
        if self._held:
            held, self._held = self._held, []
            self._sent = time.monotonic()
            self._waiting.append(lambda: self.client.log_batch(self.run_id, metrics=held))
            self._flush()

    def _send(self, write: Callable[[], object]) -> None:
        self._send_held()
        self._waiting.append(write)
        self._flush()

    def _flush(self) -> None:
        """Send what is waiting, in order, as far as it goes."""
        while self._waiting and time.monotonic() >= self._not_before:
            try:
                self._waiting[0]()
            except Exception as error:  # a result is worth more than its record, whatever went wrong with that
                if self.store.answers():
                    self._failures += 1
                    if self._failures > 1:
                        log.warning("WARNING: MLflow did not take a part of the record: %s", first_line(error))
                        self._given_up.append(first_line(error))
                        self._waiting.pop(0)
                        self._failures = 0
                    continue
                if self.trouble is None:
                    log.warning(
                        "WARNING: tracking store %s failed: %s\n"
                        "  training goes on; everything is kept in the run's folder and sent again later",
                        self.store,
                        first_line(error),
                    )
                self.trouble = first_line(error)
                self._not_before = time.monotonic() + _PAUSE
                return
            self._waiting.pop(0)
            self._failures = 0
        if self.trouble is not None and not self._waiting:
            log.info("the tracking store answers again, and has everything so far")
            self.trouble = None


def _is_known(client: "MlflowClient", run_id: str) -> bool:
    """Whether the store has this run; it has not where the run began without tracking, or with another store."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def as_text(value: object) -> str:
    """A param as MLflow keeps it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dataset_input(data: DataInfo) -> Any:
    import json

    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=data.name,
        digest=data.fingerprint,
        source_type="local",
        source=json.dumps({"uri": data.source}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
