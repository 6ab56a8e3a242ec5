"""A run's record, kept by a process of its own, so that training waits for nothing that MLflow does.

MLflow takes seconds to import and to open its store, and exporting a model seconds more; here that is done while the
other process imports torch, trains, and draws its pictures. A store that hangs is waited for here, too. The process
ends with the one that started it, however that ends; where it ends first, resuming the run sends what is missing.
"""

import logging
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import TrackingError
from archsearch.system.process import end_process, gc_paused
from archsearch.tracking.models import rehearse_model
from archsearch.tracking.recorder import PATIENCE, AbsentRecorder, MlflowRecorder, Recorder, RunInfo
from archsearch.tracking.store import Store, import_store

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

_HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # the process that trains says how the run ends
_GOODBYE = 5.0  # seconds for the process to end, which has nothing more to do


@dataclass(frozen=True)
class _LogMessage:
    """Something for the log."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class _Refused:
    """The store has not taken the run, and why."""

    reason: str


@dataclass(frozen=True)
class _RecordState:
    """The record's run, and what `describe` says of it."""

    run_id: str
    description: dict[str, Any]
    finished: bool = False


class RecorderProcess(Recorder):
    """Does what a `MlflowRecorder` does in experiment `name` of `store`, in a process that begins to import at once.

    `begin` opens the run. `models` says whether the process is to prepare for recording one. To be closed.
    """

    def __init__(self, store: Store, name: str, *, models: bool) -> None:
        self.store = store
        self._known: _RecordState | None = None
        self._refused: str | None = None
        self._lost: str | None = None
        self._begun = False
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, store, name, models), name="record", daemon=True)
        with _signals_held():
            self._process.start()
        theirs.close()

    def begin(self, info: RunInfo, run_id: str | None) -> None:
        """Open a new run, or run `run_id` again; `opened` tells when that is done."""
        self._begun = True
        self._send("begin", info, run_id, PATIENCE)

    def opened(self, *, wait: bool = False) -> bool:
        """Whether the store has the run, or never will, the process being gone. Raises `TrackingError` if refused."""
        self._hear(lambda: not wait or self._known is not None or self._refused is not None)
        if self._refused is not None:
            raise TrackingError(self._refused)
        return self._known is not None or self._lost is not None

    @property
    def run_id(self) -> str | None:  # type: ignore[override] # it becomes known
        """The run's id, once the store has given it one."""
        return self._known.run_id if self._known is not None else None

    def metrics(self, values: Mapping[str, float], step: int, timestamp: int) -> None:
        self._send("metrics", values, step, timestamp)

    def artifacts(self, paths: list[Path]) -> None:
        self._send("artifacts", [path.absolute() for path in paths])

    def model(self, network: "nn.Module", example: NDArray[np.float32]) -> None:
        self._send("model", network, example)

    def describe_run(self, text: str) -> None:
        self._send("describe_run", text)

    def finish(self, state: str, reason: str | None = None) -> None:
        self._send("finish", state, reason)
        self._hear(lambda: self._known is not None and self._known.finished)

    def describe(self) -> dict[str, Any]:
        if self._known is None:
            return AbsentRecorder(self.store, self._refused or self._lost).describe()
        if self._lost is None or self._known.finished:
            return self._known.description
        return {**self._known.description, "complete": False, "trouble": self._lost}

    def close(self) -> None:
        """Leave nothing running."""
        self._connection.close()
        if self._begun:
            self._process.join(_GOODBYE)
        if self._process.is_alive():  # it still imports, for no run, or waits for a store that hangs, for nobody
            self._process.kill()
            self._process.join()
        self._process.close()

    def _send(self, what: str, *arguments: object) -> None:
        self._hear(lambda: True)
        if self._lost is None:
            try:
                # Not by `send`, with which torch would have its tensors shared between the processes.
                self._connection.send_bytes(pickle.dumps((what, arguments)))
            except OSError:
                self._note_loss()

    def _hear(self, enough: Callable[[], bool]) -> None:
        """Take in what the process has said, and wait for more until that is `enough`."""
        while self._lost is None and (self._connection.poll() or not enough()):
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                self._note_loss()
                return
            if isinstance(message, _LogMessage):
                logging.getLogger(message.logger).log(message.level, "%s", message.text)
            elif isinstance(message, _Refused):
                self._refused = message.reason
            else:
                self._known = message

    def _note_loss(self) -> None:
        self._process.join(_GOODBYE)
        status = self._process.exitcode
        self._lost = f"the process that records this run has ended (status {status})"
        if self._refused is None:
            log.warning("WARNING: %s\n  training goes on; everything is kept in the run's folder", self._lost)


@contextmanager
def _signals_held() -> Iterator[None]:
    """What is started here never gets Ctrl-C, which a terminal sends to all; this process gets it a little later."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, store: Store, name: str, models: bool) -> None:
    """The process's main function: does what comes over `connection` until that ends."""
    for number in _HELD_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    ours = logging.getLogger("archsearch")
    ours.setLevel(logging.INFO)
    ours.addHandler(_Forward(connection))
    ours.propagate = False
    inbox: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    with suppress(OSError, EOFError):  # the parent has gone
        with gc_paused():
            import_store(store)
            if models:
                rehearse_model()
        _record(connection, inbox, store, name)
    end_process(0)


def _record(connection: Connection, inbox: "SimpleQueue[bytes | None]", store: Store, name: str) -> None:
    what, (info, run_id, patience) = _next(inbox)
    assert what == "begin"
    try:
        recorder = MlflowRecorder.start(store, name, info, run_id, patience)
    except TrackingError as error:
        connection.send(_Refused(str(error)))
        return
    while what != "finish":
        connection.send(_RecordState(recorder.run_id, recorder.describe()))
        what, arguments = _next(inbox)
        getattr(recorder, what)(*arguments)
    connection.send(_RecordState(recorder.run_id, recorder.describe(), finished=True))


def _next(inbox: "SimpleQueue[bytes | None]") -> tuple[str, tuple[Any, ...]]:
    message = inbox.get()
    if message is None:
        raise EOFError
    found: tuple[str, tuple[Any, ...]] = pickle.loads(message)
    return found


def _read(connection: Connection, inbox: "SimpleQueue[bytes | None]") -> None:
    """Take in what the parent says at once, so that it never waits until this process has time."""
    with suppress(OSError, EOFError):
        while True:
            inbox.put(connection.recv_bytes())
    inbox.put(None)


class _Forward(logging.Handler):
    """Sends what is logged to the parent, whose screen and files it is for."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self._connection.send(_LogMessage(record.name, record.levelno, record.getMessage()))
