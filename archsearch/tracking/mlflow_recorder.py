"""Records one run in MLflow. Writes that fail are queued until the store accepts them.

A tracking store may become unreachable during hours of training. Once a run has started, MLflow's errors are
therefore never raised. While the store is unreachable, writes stay in a queue, in order, and are retried after later
epochs and at the end of the run. A write that fails although the store is reachable (for example, of a file that is
missing) is retried once and then dropped, so that it does not block the queue. Repeating a write is safe, because
metrics carry the time of their epoch. If the file of a SQLite store is deleted or replaced, nothing more is sent.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.errors import TrackingError
from archsearch.tracking.messages import error_line
from archsearch.tracking.models import ModelFiles, log_model
from archsearch.tracking.recorder import Recorder, RunInfo
from archsearch.tracking.run_opening import OPENING_ATTEMPTS, RunOpening
from archsearch.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)

_BATCH_SECONDS = 2.0  # between two batches of metrics; sending one takes as long as an epoch of a tiny network
_BATCH_SIZE = 900  # metrics; MLflow's limit is 1,000
RETRY_SECONDS = 10.0  # until an unreachable store is tried again
_LOST = "the store's file was deleted or replaced while the run was recorded"
PATIENCE = 60.0  # seconds that the end of a run waits for an unreachable store


@dataclass
class MlflowRecorder(Recorder):
    """Records a run in MLflow. Create one with `start`."""

    client: "MlflowClient"
    store: Store
    experiment_id: str
    run_id: str
    trouble: str | None = None
    patience: float = PATIENCE
    retry_seconds: float = RETRY_SECONDS
    _batch: list["Metric"] = field(default_factory=list)
    _batch_sent: float = float("-inf")  # on the monotonic clock, like _next_try
    _description: str | None = None
    _queue: list[Callable[[], object]] = field(default_factory=list)
    _failures: int = 0  # of the queue's first write while the store was reachable
    _dropped: list[str] = field(default_factory=list)  # the errors of dropped writes
    _next_try: float = 0.0
    _identity: tuple[int, int] | None = None  # of the file of a SQLite store
    _curves: set[str] = field(default_factory=set)  # the metrics that epochs have

    def __post_init__(self) -> None:
        self._identity = self.store.identity()

    @classmethod
    def start(
        cls,
        store: Store,
        experiment: str,
        info: RunInfo,
        run_id: str | None = None,
        patience: float | None = None,
        retry_seconds: float | None = None,
    ) -> "MlflowRecorder":
        """Reopen run `run_id` or, if the store does not have it, create a run. Raises `TrackingError`.

        `patience` is how many seconds the end of the run waits for an unreachable store, and `retry_seconds` the time
        between two attempts to reach it.
        """
        opening = RunOpening(store, experiment, info, run_id)
        try:
            client, experiment_id, run_id = _open(opening)
        except BaseException as error:
            opening.abandon("FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        return cls(
            client,
            store,
            experiment_id,
            run_id,
            patience=PATIENCE if patience is None else patience,
            retry_seconds=RETRY_SECONDS if retry_seconds is None else retry_seconds,
        )

    def log_metrics(self, values: Mapping[str, float], step: int, timestamp: int) -> None:
        self._curves |= values.keys()
        self._log(values, dict.fromkeys(values, step), timestamp)

    def log_results(self, values: Mapping[str, float], last_epoch: int, timestamp: int) -> None:
        # MLflow draws a metric of step 0 as bars, and any other as a curve. A result is none, unless epochs have it.
        self._log(values, {key: last_epoch if key in self._curves else 0 for key in values}, timestamp)

    def _log(self, values: Mapping[str, float], steps: Mapping[str, int], timestamp: int) -> None:
        from mlflow.entities import Metric

        self._batch += [Metric(key, value, timestamp, steps[key]) for key, value in values.items()]
        if time.monotonic() - self._batch_sent >= _BATCH_SECONDS or len(self._batch) >= _BATCH_SIZE:
            self._send_batch()

    def log_artifacts(self, paths: list[Path]) -> None:
        for path in paths:
            self._send(lambda path=path: self.client.log_artifact(self.run_id, str(path)))  # type: ignore[misc]

    def log_model(self, model: ModelFiles) -> None:
        self._send(lambda: log_model(self.store, self.run_id, model))

    def set_description(self, text: str) -> None:
        self._description = text

    def finish(self, state: str, reason: str | None = None) -> None:
        from mlflow.entities import RunTag

        values = {"state": state, "reason": reason, "mlflow.note.content": self._description}
        tags = [RunTag(key, value) for key, value in values.items() if value is not None]
        self._send(lambda: self.client.log_batch(self.run_id, tags=tags))
        status = "KILLED" if state == "STOPPED" else state  # MLflow has no other
        self._send(lambda: self.client.set_terminated(self.run_id, status))
        deadline = time.monotonic() + (self.patience if state == "FINISHED" else 0)
        while self._queue and self._next_try < deadline and not self._lost():
            log.info("waiting up to %.0f s for the tracking store", deadline - time.monotonic())
            time.sleep(max(0.0, self._next_try - time.monotonic()))
            self._flush()

    def discard(self) -> None:
        """Delete the run. Errors of the store are ignored."""
        with suppress(Exception):
            self.client.delete_run(self.run_id)

    def describe(self) -> dict[str, Any]:
        lost = self._lost()
        trouble = _LOST if lost else self.trouble
        return {
            "uri": str(self.store),
            "experiment_id": self.experiment_id,
            "complete": not (lost or self._batch or self._queue or self._dropped),
            "trouble": "; ".join([*self._dropped, *([trouble] if trouble else [])]) or None,
        }

    def _lost(self) -> bool:
        """Whether the file of a SQLite store is not the one that the run began in."""
        return self.store.identity() != self._identity

    def _send_batch(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._batch_sent = time.monotonic()
            self._queue.append(lambda: self.client.log_batch(self.run_id, metrics=batch))
            self._flush()

    def _send(self, write: Callable[[], object]) -> None:
        self._send_batch()
        self._queue.append(write)
        self._flush()

    def _flush(self) -> None:
        """Do the queue's writes in order, until the queue is empty or the store is unreachable."""
        while self._queue and time.monotonic() >= self._next_try:
            try:
                if self._lost():
                    raise FileNotFoundError(_LOST)
                self._queue[0]()
            except Exception as error:  # no error of MLflow may end a training run
                if self._lost() or not self.store.answers():
                    self._note_outage(error)
                    return
                self._failures += 1
                if self._failures == 1:
                    continue
                log.warning("WARNING: MLflow rejected a part of the record: %s", error_line(error))
                self._dropped.append(error_line(error))
            self._queue.pop(0)
            self._failures = 0
        if self.trouble is not None and not self._queue:
            log.info("the tracking store is reachable again and up to date")
            self.trouble = None

    def _note_outage(self, error: Exception) -> None:
        if self.trouble is None:
            log.warning(
                "WARNING: tracking store %s failed: %s\n"
                "  training continues; results are kept in the run's folder and sent later",
                self.store,
                error_line(error),
            )
        self.trouble = error_line(error)
        self._next_try = time.monotonic() + self.retry_seconds


def _open(opening: RunOpening) -> tuple["MlflowClient", str, str]:
    for _ in range(OPENING_ATTEMPTS - 1):
        try:
            return opening.open()
        except TrackingError:
            if not opening.store.answers():
                raise
    return opening.open()
