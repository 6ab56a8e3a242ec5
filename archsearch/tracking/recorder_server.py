"""The process that records a run: it does what the training process asks for, and answers with the record's state."""

import logging
import pickle
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from archsearch.errors import TrackingError
from archsearch.system.interrupts import SIGNALS
from archsearch.system.process import end_process, skip_teardown
from archsearch.tracking.messages import redact
from archsearch.tracking.mlflow_recorder import MlflowRecorder
from archsearch.tracking.run_opening import OPENING_ATTEMPTS, RunOpening
from archsearch.tracking.store import Store, import_store

log = logging.getLogger(__name__)

OPENING_RETRY_SECONDS = 1.0

_Inbox = SimpleQueue[bytes | None]


@dataclass(frozen=True)
class LogMessage:
    """A log line for the training process."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class Refusal:
    """Why the store refused the run."""

    reason: str


@dataclass(frozen=True)
class Delay:
    """Why the store has not been opened yet."""

    reason: str


@dataclass(frozen=True)
class RecordState:
    """The run's id, and what `describe` returns."""

    run_id: str
    description: dict[str, Any]
    finished: bool = False


def serve(connection: Connection, store: Store, experiment: str) -> None:
    """The process's main function: do what the messages on `connection` ask for."""
    skip_teardown()
    for number in SIGNALS:  # the training process handles them
        signal.signal(number, signal.SIG_IGN)
    logger = logging.getLogger("archsearch")
    logger.setLevel(logging.INFO)
    logger.addHandler(_ForwardingHandler(connection))
    logger.propagate = False
    inbox: _Inbox = SimpleQueue()
    ended = threading.Event()
    threading.Thread(target=_fill_inbox, args=(connection, inbox, ended), daemon=True).start()
    with suppress(OSError, EOFError):  # the training process has ended
        import_store(store)
        _, (info, run_id) = _next_call(inbox)  # begin
        _record(connection, inbox, ended, RunOpening(store, experiment, info, run_id))
    end_process(0)


def _record(connection: Connection, inbox: _Inbox, ended: threading.Event, opening: RunOpening) -> None:
    recorder = _opened(connection, ended, opening)
    if recorder is None:
        return
    method, adopted = "begin", opening.created is None
    try:
        while method != "finish":
            connection.send(RecordState(recorder.run_id, recorder.describe()))
            method, arguments = _next_call(inbox)
            adopted = True
            getattr(recorder, method)(*arguments)
    except (EOFError, OSError):
        # Killed. It writes the run's id to a file before it logs anything; a run that no file names is deleted.
        if adopted:
            recorder.finish("KILLED", "the training process was killed")
        else:
            recorder.discard()
        raise
    connection.send(RecordState(recorder.run_id, recorder.describe(), finished=True))


def _opened(connection: Connection, ended: threading.Event, opening: RunOpening) -> MlflowRecorder | None:
    """The recorder, as soon as the store can be opened; None if it refuses the run, or the training process ended."""
    store, refusals, delayed = opening.store, 0, False
    if store.is_server:  # it may hang
        connection.send(Delay(f"tracking store {store} does not answer"))
    while not ended.is_set():
        trouble = store.trouble()
        if trouble is None:
            try:
                client, experiment_id, run_id = opening.open()
            except TrackingError as error:
                trouble = store.trouble()
                if trouble is None:
                    refusals += 1
                    if refusals == OPENING_ATTEMPTS:
                        opening.abandon("FAILED")
                        connection.send(Refusal(str(error)))
                        return None
            else:
                if delayed:
                    log.info("the tracking store is open now")
                return MlflowRecorder(client, store, experiment_id, run_id)
        if trouble is not None and not delayed:
            delayed = True
            connection.send(Delay(trouble))
            log.warning("WARNING: %s\n  training continues; the run is recorded when the store can be opened", trouble)
        ended.wait(OPENING_RETRY_SECONDS)
    opening.abandon("KILLED")
    return None


def _next_call(inbox: _Inbox) -> tuple[str, tuple[Any, ...]]:
    """The next method to call, and its arguments. Raises `EOFError` when the training process has ended."""
    message = inbox.get()
    if message is None:
        raise EOFError
    call: tuple[str, tuple[Any, ...]] = pickle.loads(message)
    return call


def _fill_inbox(connection: Connection, inbox: _Inbox, ended: threading.Event) -> None:
    """Receive messages as they arrive, so that the training process never blocks on a full pipe."""
    with suppress(OSError, EOFError):
        while True:
            inbox.put(connection.recv_bytes())
    ended.set()
    inbox.put(None)


class _ForwardingHandler(logging.Handler):
    """Sends log records to the training process, which writes them to the console and the run's log file."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self._connection.send(LogMessage(record.name, record.levelno, redact(record.getMessage())))
