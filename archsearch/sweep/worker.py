"""A worker process: imports torch once, then trains one run (or one stack of runs) after another.

It receives jobs through a pipe and reports progress through the same pipe. Everything that a run prints, logs or
raises goes to the log in the run's folder.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from archsearch.errors import NonFiniteLossError, OutOfMemoryError, StorageError, TimeLimitError, UserError
from archsearch.runs.prepare import PreparedRun
from archsearch.runs.storage import cannot_write, is_unwritable
from archsearch.system.interrupts import unblock_signals
from archsearch.system.logs import LOG_LINE
from archsearch.system.process import end_process, gc_paused, skip_teardown
from archsearch.system.screen import open_standard_streams

if TYPE_CHECKING:
    from ctypes import c_byte

    from archsearch.training.trainer import EpochProgress

LOG = "archsearch.log"
_REPORT_INTERVAL = 0.5  # seconds between two progress messages


@dataclass(frozen=True)
class Job:
    """One run to train in `folder`: all of its epochs, or those up to `until`."""

    number: int
    prepared: PreparedRun
    folder: Path
    until: int | None = None


Team: TypeAlias = tuple[Job, ...]  # what a worker trains at a time: one run, or several as one network


@dataclass(frozen=True)
class Ready:
    """The worker has finished its imports."""


@dataclass(frozen=True)
class RunProgress:
    """Run `number` has trained `fraction` of its epochs; `accuracy` is the current epoch's so far, in percent."""

    number: int
    fraction: float
    epoch: int
    epochs: int
    accuracy: float


Send: TypeAlias = Callable[[RunProgress], object]


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt at run `number` ended."""

    number: int
    state: str  # FINISHED, STOPPED, FAILED or KILLED
    reason: str | None = None
    retryable: bool = False  # another attempt could end otherwise
    worker_unusable: bool = False  # a new worker should take this one's place
    unwritable: bool = False  # the disk is full or read-only, so that others fail, too
    result: dict[str, Any] | None = None


def serve(connection: Connection, stop: "c_byte", threads: int, log: Path) -> None:
    """The main function of a worker: train the teams that `connection` delivers, until it delivers None.

    Runs end after their current epoch once `stop` is set. Output between runs goes to `log`.
    """
    open_standard_streams()
    skip_teardown()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent handles it
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    log_to_stderr()
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError), _output_to(log):
        unblock_signals()
        with gc_paused():
            import torch

            import archsearch.runs.train  # noqa: F401  the slow imports

        torch.set_num_interop_threads(1)
        connection.send(Ready())
        while (team := connection.recv()) is not None:
            torch.set_num_threads(threads)  # the previous run may have set its own number
            for end in train_team(team, connection.send, lambda: bool(stop.value)):
                connection.send(end)
    end_process(0)


def log_to_stderr() -> None:
    """Let messages go where `train_team` sends the output of runs."""
    logging.basicConfig(format=LOG_LINE, stream=sys.stderr)
    logging.getLogger("archsearch").setLevel(logging.INFO)


def train_team(team: Team, send: Send, stop: Callable[[], bool]) -> list[AttemptEnd]:
    """Train the runs of `team`; `send` gets their progress. They end after their current epoch once `stop` says so."""
    return _train_alone(team, send, stop) if len(team) == 1 else _train_stack(team, send, stop)


def _train_alone(team: Team, send: Send, stop: Callable[[], bool]) -> list[AttemptEnd]:
    from archsearch.runs.train import train_run

    (job,) = team
    report = _reporter(send)
    try:
        with _output_to(job.folder / LOG), _errors_logged("this run failed"):
            result = train_run(
                job.prepared,
                job.folder,
                lambda progress: report([(job, progress)]),
                stop,
                until=job.until,
            )
        return [AttemptEnd(job.number, result.state, result=result.as_dict())]
    except KeyboardInterrupt:
        return [_killed(job)]
    except Exception as error:
        return [_failed(job, error)]


def _train_stack(team: Team, send: Send, stop: Callable[[], bool]) -> list[AttemptEnd]:
    from archsearch.runs.stacked import train_together

    first, *others = team
    report = _reporter(send)
    for job in others:
        with _output_to(job.folder / LOG):
            print(f"trained as one network with other runs; the log of all of them is {first.folder / LOG}")
    try:
        with _output_to(first.folder / LOG), _errors_logged("these runs, trained as one network, failed"):
            outcomes = train_together(
                [job.prepared for job in team],
                [job.folder for job in team],
                lambda progress: report(list(zip(team, progress, strict=True))),
                stop,
            )
    except KeyboardInterrupt:
        return [_killed(job) for job in team]
    except Exception as error:
        return [_failed(job, error) for job in team]
    return [
        _failed(job, outcome)
        if isinstance(outcome, Exception)
        else AttemptEnd(job.number, "FINISHED", result=outcome.as_dict())
        for job, outcome in zip(team, outcomes, strict=True)
    ]


def _reporter(send: Send) -> Callable[[Sequence[tuple[Job, "EpochProgress | Exception"]]], None]:
    """A function that sends the progress of jobs, at most once per interval and at the end of each epoch."""
    last_report = 0.0

    def report(states: Sequence[tuple[Job, "EpochProgress | Exception"]]) -> None:
        nonlocal last_report
        training = [(job, progress) for job, progress in states if not isinstance(progress, Exception)]
        epoch_ended = any(progress.finished for _, progress in training)
        if time.monotonic() - last_report <= _REPORT_INTERVAL and not epoch_ended:
            return
        for job, progress in training:
            fraction = (progress.epoch - 1 + progress.score.total / progress.total) / progress.epochs
            accuracy = progress.score.accuracy
            send(RunProgress(job.number, fraction, progress.epoch, progress.epochs, accuracy))
        last_report = time.monotonic()

    return report


def _killed(job: Job) -> AttemptEnd:
    return AttemptEnd(job.number, "KILLED", "interrupted")


def _failed(job: Job, error: Exception) -> AttemptEnd:
    has_message = isinstance(error, (UserError, NonFiniteLossError, OutOfMemoryError, TimeLimitError))
    reason = str(error) if has_message else f"{type(error).__name__}: {error}"
    of_disk = error.__cause__ if isinstance(error, StorageError) else error
    if isinstance(of_disk, OSError):
        reason = cannot_write(of_disk, job.folder)  # without the advice for single runs
    # The same seed diverges again, and a run that is too slow stays so.
    retryable = not isinstance(error, (NonFiniteLossError, TimeLimitError))
    return AttemptEnd(
        job.number, "FAILED", reason, retryable, isinstance(error, OutOfMemoryError), is_unwritable(of_disk)
    )


@contextmanager
def _errors_logged(message: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logging.getLogger("archsearch").exception(message)
        raise


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Append all output of this process to `path`: log messages, prints, and what native code writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = os.dup(1), os.dup(2)
    with open(path, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # a full disk
                stream.flush()
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def _die_with_parent() -> None:
    """End this process as soon as the parent is gone: nothing else would receive its results."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
