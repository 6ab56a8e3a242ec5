"""A worker: a process that trains one variant (or one stack of them) after another, with torch imported once.

It is told what to do over a pipe, and says over the same pipe how far it is. What a variant prints, logs or raises
goes to the log in its folder, complete.
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

from archsearch.errors import NonFiniteLossError, OutOfMemoryError, TimeLimitError, UserError
from archsearch.runs.prepare import PreparedRun
from archsearch.system.process import end_process, gc_paused

if TYPE_CHECKING:
    from ctypes import c_byte

    from archsearch.training.trainer import EpochProgress

LOG = "archsearch.log"
_QUIET = 0.5  # seconds between two messages about a variant's progress


@dataclass(frozen=True)
class Job:
    """One variant to train, in `folder`."""

    number: int
    prepared: PreparedRun
    folder: Path


Team: TypeAlias = tuple[Job, ...]  # what a worker gets at once: one variant, or several to train as one network


@dataclass(frozen=True)
class Ready:
    """The worker has imported what it needs."""


@dataclass(frozen=True)
class RunProgress:
    """PlannedRun `number` has trained `fraction` of its epochs; `accuracy` (%) is of the last one, on what selects."""

    number: int
    fraction: float
    accuracy: float | None = None


@dataclass(frozen=True)
class Ended:
    """How an attempt at variant `number` ended. `again` says whether another attempt could end otherwise."""

    number: int
    state: str  # FINISHED, FAILED or KILLED
    reason: str | None = None
    again: bool = False
    spent: bool = False  # the worker should be replaced
    result: dict[str, Any] | None = None


def serve(connection: Connection, stop: "c_byte", threads: int, log: Path) -> None:
    """Train what comes over `connection` until that ends, or `stop` is set. The process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to every process of a terminal; the parent decides
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("archsearch").setLevel(logging.INFO)
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError), _written_to(log):
        with gc_paused():
            import torch

            import archsearch.runs.train  # noqa: F401  everything that takes time to import

        torch.set_num_interop_threads(1)
        connection.send(Ready())
        while (team := connection.recv()) is not None:
            torch.set_num_threads(threads)  # a variant may have set its own
            attempt = _attempt if len(team) == 1 else _attempt_together
            for ended in attempt(team, connection, stop):
                connection.send(ended)
    end_process(0)


def _attempt(team: Team, connection: Connection, stop: "c_byte") -> list[Ended]:
    from archsearch.runs.train import train_run

    (job,) = team
    report = _reporter(connection)
    try:
        with _written_to(job.folder / LOG), _said_in_log("this variant failed"):
            result = train_run(job.prepared, job.folder, lambda it: report([(job, it)]), lambda: bool(stop.value))
        return [Ended(job.number, "FINISHED", result=result.as_dict())]
    except KeyboardInterrupt:
        return [_killed(job)]
    except Exception as error:
        return [_failed(job, error)]


def _attempt_together(team: Team, connection: Connection, stop: "c_byte") -> list[Ended]:
    from archsearch.runs.stacked import train_together

    first, *others = team
    report = _reporter(connection)
    for job in others:
        with _written_to(job.folder / LOG):
            print(f"trained as one network with others; what is said of them all is in {first.folder / LOG}")
    try:
        with _written_to(first.folder / LOG), _said_in_log("these variants, as one network, failed"):
            outcomes = train_together(
                [job.prepared for job in team],
                [job.folder for job in team],
                lambda each: report(list(zip(team, each, strict=True))),
                lambda: bool(stop.value),
            )
    except KeyboardInterrupt:
        return [_killed(job) for job in team]
    except Exception as error:
        return [_failed(job, error) for job in team]
    return [
        _failed(job, outcome)
        if isinstance(outcome, Exception)
        else Ended(job.number, "FINISHED", result=outcome.as_dict())
        for job, outcome in zip(team, outcomes, strict=True)
    ]


def _reporter(connection: Connection) -> Callable[[Sequence[tuple[Job, "EpochProgress | Exception"]]], None]:
    """What sends how far each variant is, not too often."""
    said = 0.0

    def report(found: Sequence[tuple[Job, "EpochProgress | Exception"]]) -> None:
        nonlocal said
        alive = [(job, progress) for job, progress in found if not isinstance(progress, Exception)]
        if time.monotonic() - said <= _QUIET and not any(progress.finished for _, progress in alive):
            return
        for job, progress in alive:
            done = (progress.epoch - 1 + progress.score.total / progress.total) / progress.epochs
            connection.send(RunProgress(job.number, done))
        said = time.monotonic()

    return report


def _killed(job: Job) -> Ended:
    return Ended(job.number, "KILLED", "interrupted")


def _failed(job: Job, error: Exception) -> Ended:
    known = isinstance(error, (UserError, NonFiniteLossError, OutOfMemoryError, TimeLimitError))
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    # The same seed diverges again, and what was too slow is.
    again = not isinstance(error, (NonFiniteLossError, TimeLimitError))
    return Ended(job.number, "FAILED", reason, again, spent=isinstance(error, OutOfMemoryError))


@contextmanager
def _said_in_log(text: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logging.getLogger("archsearch").exception(text)
        raise


@contextmanager
def _written_to(path: Path) -> Iterator[None]:
    """Everything that this process says goes to `path`, whether it is logged, printed, or written by native code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = os.dup(1), os.dup(2)
    with open(path, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # a full disk
                stream.flush()
        for number, descriptor in enumerate(before, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def _die_with_parent() -> None:
    """End at once when the parent is gone, however it went: nobody would hear what this process finds out."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
