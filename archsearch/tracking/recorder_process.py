"""Records a run in a separate process, so that training never waits for MLflow.

MLflow takes seconds to import and to open its store. The process does this while the training process imports torch,
and records the model while that one draws figures. It does not import torch itself. It also waits for a store that
hangs, and tries a store that cannot be opened again until it can. It ends with the process that started it. If it ends
first, training continues, and resuming the run records what is missing.
"""

import logging
import pickle
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from archsearch.errors import TrackingError
from archsearch.system.interrupts import blocked_signals
from archsearch.tracking.models import ModelFiles
from archsearch.tracking.recorder import AbsentRecorder, Recorder, RunInfo
from archsearch.tracking.recorder_server import Delay, LogMessage, RecordState, Refusal, serve
from archsearch.tracking.store import Store

log = logging.getLogger(__name__)

_EXIT_SECONDS = 5.0  # for the process to exit after its work is done
OPENING_PATIENCE = 15.0  # seconds that the end of a run waits for a store that could not be opened so far


class RecorderProcess(Recorder):
    """A `MlflowRecorder` in a separate process, which starts to import MLflow at once. Call `close` at the end.

    The run belongs to `experiment` of `store`; `begin` opens it.
    """

    def __init__(self, store: Store, experiment: str) -> None:
        self.store = store
        self._state: RecordState | None = None
        self._refusal: str | None = None
        self._delay: str | None = None
        self._failure: str | None = None  # why the process no longer records
        self._started = False  # whether `begin` was called
        context = get_context("spawn")
        self._connection, connection = context.Pipe()
        arguments = (connection, store, experiment)
        self._process = context.Process(target=serve, args=arguments, name="record", daemon=True)
        with blocked_signals():
            self._process.start()
        connection.close()

    def begin(self, info: RunInfo, run_id: str | None) -> None:
        """Create a run, or reopen run `run_id`, without waiting; see `opened`."""
        self._started = True
        self._send("begin", info, run_id)

    def opened(self, *, wait: bool = False) -> bool:
        """Whether the run is open in the store, or will not be. Raises `TrackingError` if the store refuses it.

        With `wait`, waits until it is. A store that cannot be opened is then given up after `OPENING_PATIENCE` seconds.
        """
        self._receive_until(lambda: not wait or self._answered() or self._delay is not None)
        if wait and not self._answered() and self._failure is None:
            log.info("waiting up to %.0f s for the tracking store", OPENING_PATIENCE)
            self._receive_until(self._answered, OPENING_PATIENCE)
            if not self._answered() and self._failure is None:
                self._failure = self._delay
        if self._refusal is not None:
            raise TrackingError(self._refusal)
        return self._state is not None or self._failure is not None

    def _answered(self) -> bool:
        return self._state is not None or self._refusal is not None

    @property
    def run_id(self) -> str | None:  # type: ignore[override] # read-only here
        """The run's id in MLflow; None until the run is open."""
        return self._state.run_id if self._state is not None else None

    def log_metrics(self, values: Mapping[str, float], step: int, timestamp: int) -> None:
        self._send("log_metrics", values, step, timestamp)

    def log_results(self, values: Mapping[str, float], last_epoch: int, timestamp: int) -> None:
        self._send("log_results", values, last_epoch, timestamp)

    def log_artifacts(self, paths: list[Path]) -> None:
        self._send("log_artifacts", [path.absolute() for path in paths])

    def log_model(self, model: ModelFiles) -> None:
        self._send("log_model", model)

    def set_description(self, text: str) -> None:
        self._send("set_description", text)

    def finish(self, state: str, reason: str | None = None) -> None:
        self._send("finish", state, reason)
        self._receive_until(lambda: self._state is not None and self._state.finished)

    def describe(self) -> dict[str, Any]:
        if self._state is None:
            return AbsentRecorder(self.store, self._refusal or self._failure).describe()
        if self._failure is None or self._state.finished:
            return self._state.description
        return {**self._state.description, "complete": False, "trouble": self._failure}

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        if self._started:
            self._process.join(_EXIT_SECONDS)
        if self._process.is_alive():  # it is still importing, or waits for a store that hangs
            self._process.kill()
            self._process.join()
        self._process.close()

    def _send(self, method: str, *arguments: object) -> None:
        self._receive_until(lambda: True)
        if self._failure is None:
            try:
                # Plain pickle: `Connection.send` would let torch share the tensors between the processes.
                self._connection.send_bytes(pickle.dumps((method, arguments)))
            except OSError:
                self._note_failure()

    def _receive_until(self, done: Callable[[], bool], seconds: float | None = None) -> None:
        """Handle all messages that have arrived, and wait for more until `done` or the process has died.

        Waits `seconds` at most.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while self._failure is None and (self._connection.poll() or not done()):
            try:
                if deadline is not None and not self._connection.poll(max(0.0, deadline - time.monotonic())):
                    return
                message = self._connection.recv()
            except (EOFError, OSError):
                self._note_failure()
                return
            if isinstance(message, LogMessage):
                logging.getLogger(message.logger).log(message.level, "%s", message.text)
            elif isinstance(message, Refusal):
                self._refusal = message.reason
            elif isinstance(message, Delay):
                self._delay = message.reason
            else:
                self._state = message

    def _note_failure(self) -> None:
        self._process.join(_EXIT_SECONDS)
        status = self._process.exitcode
        self._failure = f"the process that records this run has died (exit status {status})"
        if self._refusal is None:
            log.warning("WARNING: %s\n  training continues; results are kept in the run's folder", self._failure)
