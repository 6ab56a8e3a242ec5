"""The worker processes that train the runs of a sweep on this machine.

Idle workers take the next run. If a worker dies, only its run fails, and a new worker takes its place. Runs that it was
training as one network are then trained one by one.
"""

import logging
import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

from archsearch.config.settings import SweepSettings
from archsearch.errors import SweepError
from archsearch.sweep.machine import environment, thread_cap
from archsearch.sweep.worker import AttemptEnd, Job, Ready, RunProgress, Team, serve
from archsearch.system.interrupts import blocked_signals

log = logging.getLogger(__name__)

_TICK = 0.5  # seconds between two checks of deadlines and signals
_GRACE = 20.0  # seconds that a worker has to stop by itself before it is killed
_STARTUP_FAILURES = 3  # workers in a row that may die before they are ready


class PoolListener(Protocol):
    """What a pool reports to while it trains."""

    def started(self, job: Job, attempt: int, worker: int) -> None:
        """An attempt at `job` begins; the first is 1. `worker` counts from 0."""

    def progressed(self, progress: RunProgress) -> None:
        """A run got further."""

    def ended(self, job: Job, end: AttemptEnd, retried: bool) -> None:
        """An attempt at `job` ended; another one follows if `retried`."""

    def stopping(self, signals: int) -> None:
        """The sweep was interrupted; `signals` counts how often so far."""

    def tick(self) -> None:
        """Some time has passed."""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    slot: int
    ready: bool = False
    leaving: bool = False  # it takes no more jobs
    overdue: bool = False  # it was killed because of the time limit
    jobs: dict[int, Job] = field(default_factory=dict)  # those that have not ended, by number
    deadline: float = float("inf")  # for its jobs, on the monotonic clock

    @property
    def is_idle(self) -> bool:
        """Whether it can take a team."""
        return self.ready and not self.leaving and not self.jobs


@dataclass
class Pool:
    """Trains teams of jobs in worker processes, one for each environment in `slots`.

    `log` receives what the workers print between jobs; `renew` prepares a failed job for another attempt.
    """

    slots: Sequence[Mapping[str, str]]
    settings: SweepSettings
    log: Path
    listener: PoolListener
    renew: Callable[[Job], Job]
    threads: int = 1
    _waiting: deque[Team] = field(default_factory=deque)
    _attempts: dict[int, int] = field(default_factory=dict)
    _in_team: set[int] = field(default_factory=set)  # jobs whose latest attempt was part of a stack
    _workers: dict[int, _Worker] = field(default_factory=dict)  # by slot
    _startup_failures: int = 0
    _stops: int = 0
    _signal: int = signal.SIGINT  # the last that stopped it

    def run(self, teams: Sequence[Team], more: Callable[[], Team | None] = lambda: None) -> dict[int, AttemptEnd]:
        """Train all jobs of `teams`; returns how each ended last, by number.

        A worker for which no team is left takes what `more` returns, if anything. Once all workers are idle and it
        returns None, all is done.

        Raises `KeyboardInterrupt`, with the signal's number, after Ctrl-C or SIGTERM.

        The first Ctrl-C stops each run after its current epoch, the second stops it at once, the third kills workers.
        """
        context = multiprocessing.get_context("spawn")
        self._stop = context.RawValue("b", 0)  # without a lock, which a killed worker could still hold
        self._waiting.extend(teams)
        outcomes: dict[int, AttemptEnd] = {}
        with self._signals():
            try:
                while self._is_needed(more):
                    self._schedule(context)
                    for job, end in self._listen():
                        retried = self._will_retry(job, end)
                        self.listener.ended(job, end, retried)
                        if retried:
                            self._waiting.append((self.renew(job),))
                        else:
                            outcomes[job.number] = end
                            self._attempts.pop(job.number, None)  # a further step of it begins with the first attempt
                    self._kill_overdue()
                    self.listener.tick()
            finally:
                self._end_workers()
        if self._stops:
            raise KeyboardInterrupt(self._signal)
        return outcomes

    def _is_needed(self, more: Callable[[], Team | None]) -> bool:
        """Whether there is work, or a worker is at it. Fetches a team for each worker that could begin one."""
        busy = sum(bool(worker.jobs) for worker in self._workers.values())
        while not self._stops and busy + len(self._waiting) < len(self.slots):
            team = more()
            if team is None:
                break
            self._waiting.append(team)
        return bool(self._waiting or busy)

    def _schedule(self, context: multiprocessing.context.SpawnContext) -> None:
        """Assign waiting teams to idle workers; start as many workers as there are teams waiting."""
        if self._stops:
            self._waiting.clear()
            return
        for slot in range(len(self.slots)):
            worker = self._workers.get(slot)
            if worker is None and self._waiting:
                available = sum(not other.jobs and not other.leaving for other in self._workers.values())
                if available < len(self._waiting):
                    self._workers[slot] = self._spawn(context, slot)
            elif worker is not None and worker.is_idle and self._waiting:
                self._assign(worker, self._waiting.popleft())

    def _spawn(self, context: multiprocessing.context.SpawnContext, slot: int) -> _Worker:
        connection, worker_connection = context.Pipe()
        arguments = (worker_connection, self._stop, self.threads, self.log)
        process = context.Process(target=serve, args=arguments, name=f"archsearch-worker-{slot}", daemon=True)
        with environment({**thread_cap(self.threads), **self.slots[slot]}), blocked_signals():
            process.start()
        worker_connection.close()
        return _Worker(process, connection, slot)

    def _assign(self, worker: _Worker, team: Team) -> None:
        worker.jobs = {job.number: job for job in team}
        for number in worker.jobs:
            if len(team) > 1:  # not counted as an attempt
                self._in_team.add(number)
            else:
                self._in_team.discard(number)
                self._attempts[number] = self._attempts.get(number, 0) + 1
        if self.settings.time_limit is not None:
            # Runs check the limit themselves; this deadline is for one that hangs in native code.
            worker.deadline = time.monotonic() + self.settings.time_limit + _GRACE
        for job in team:
            self.listener.started(job, self._attempts.get(job.number, 1), worker.slot)
        with suppress(OSError):  # it just died; `_listen` notices
            worker.connection.send(team)

    def _listen(self) -> Iterator[tuple[Job, AttemptEnd]]:
        """Wait for messages and deaths of workers, for one tick at most; yields the attempts that ended."""
        workers = list(self._workers.values())
        sources = [source for worker in workers for source in (worker.connection, worker.process.sentinel)]
        ready = set(wait(sources, timeout=_TICK))
        for worker in workers:
            if worker.connection in ready:
                yield from self._read(worker)
            if worker.process.sentinel in ready and worker.slot in self._workers:
                yield from self._read(worker)  # its last messages
                yield from self._reap(worker)

    def _read(self, worker: _Worker) -> Iterator[tuple[Job, AttemptEnd]]:
        try:
            while worker.connection.poll():
                message = worker.connection.recv()
                if isinstance(message, Ready):
                    worker.ready, self._startup_failures = True, 0
                elif isinstance(message, RunProgress):
                    self.listener.progressed(message)
                elif message.number in worker.jobs:
                    job, worker.deadline = worker.jobs.pop(message.number), float("inf")
                    if message.state == "KILLED" and not self._stops:  # by another process
                        reason = "its process was terminated by another process"
                        message = replace(message, state="FAILED", reason=reason, retryable=True)
                    if message.worker_unusable:
                        self._dismiss(worker)
                    yield job, message
        except (EOFError, OSError):
            pass  # it died; its sentinel is ready, too

    def _reap(self, worker: _Worker) -> Iterator[tuple[Job, AttemptEnd]]:
        worker.process.join()
        del self._workers[worker.slot]
        worker.connection.close()
        if not worker.ready:
            self._startup_failures += 1
            if self._startup_failures >= _STARTUP_FAILURES:
                raise SweepError(f"workers fail to start: the last one {_exit_cause(worker.process)}; see {self.log}")
        for job in worker.jobs.values():
            reason = f"its process {_exit_cause(worker.process)}"
            if worker.overdue:
                reason = f"took longer than sweep.time_limit ({self.settings.time_limit:g} s), and was killed"
            state = "KILLED" if self._stops > 1 else "FAILED"
            yield job, AttemptEnd(job.number, state, reason, retryable=not worker.overdue)

    def _will_retry(self, job: Job, end: AttemptEnd) -> bool:
        retryable = end.state == "FAILED" and end.retryable and not self._stops
        return retryable and (job.number in self._in_team or self._attempts[job.number] <= self.settings.retries)

    def _kill_overdue(self) -> None:
        for worker in self._workers.values():
            if time.monotonic() > worker.deadline:
                worker.overdue = True
                worker.process.kill()

    def _dismiss(self, worker: _Worker) -> None:
        """Let an idle worker end."""
        worker.leaving = True
        with suppress(OSError):  # it has ended already
            worker.connection.send(None)

    def _end_workers(self) -> None:
        for worker in self._workers.values():
            if worker.is_idle:
                self._dismiss(worker)
            elif worker.ready:
                worker.process.terminate()
            else:
                worker.process.kill()  # it is still importing
        deadline = time.monotonic() + _GRACE
        for worker in self._workers.values():
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop the workers, while this loop goes on to record how their runs end."""

        def stop(number: int, _frame: object) -> None:
            # A scheduler that sends SIGTERM does not wait for an epoch to end.
            self._stops = max(self._stops + 1, 2 if number == signal.SIGTERM else 1)
            self._stop.value, self._signal = 1, number
            for worker in self._workers.values():
                if self._stops > 2 or (self._stops == 2 and not worker.ready):
                    worker.process.kill()
                elif self._stops == 2:
                    worker.process.terminate()
            self.listener.stopping(self._stops)

        if threading.current_thread() is not threading.main_thread():  # Python allows no handlers elsewhere
            yield
            return
        previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _exit_cause(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    if code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name
    likely = {"SIGKILL": " (out of memory?)", "SIGBUS": " (was a data file cut short, or is the disk full?)"}
    return f"was killed by {name}{likely.get(name, '')}"
