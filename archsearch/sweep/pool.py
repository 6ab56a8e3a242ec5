"""The processes that train a sweep's variants on this machine.

A worker that is free takes the next variant. Whatever happens to a worker happens to its variant only: it is put on
record as failed, and another worker takes its place. Variants that were being trained as one network then train alone.
"""

import logging
import multiprocessing
import signal
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
from archsearch.sweep.worker import Ended, Job, Ready, RunProgress, Team, serve

log = logging.getLogger(__name__)

_TICK = 0.5  # seconds between two looks at clocks and signals
_GRACE = 20.0  # seconds that a worker gets to end by itself what it was told to end
_STARTS = 3  # workers in a row that may die before they are ready


class Watcher(Protocol):
    """Who is told what happens, while it happens."""

    def started(self, job: Job, attempt: int) -> None:
        """An attempt at `job` begins; the first is 1."""

    def progress(self, progress: RunProgress) -> None:
        """A variant got further."""

    def ended(self, job: Job, ended: Ended, retried: bool) -> None:
        """An attempt at `job` ended; there will be another one if `retried`."""

    def stopping(self, times: int) -> None:
        """Ctrl-C was pressed, for the `times`th time."""

    def tick(self) -> None:
        """Some time has passed."""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    slot: int
    ready: bool = False
    leaving: bool = False  # was told to end
    overdue: bool = False  # was killed for it
    jobs: dict[int, Job] = field(default_factory=dict)  # that have not ended, by number
    deadline: float = float("inf")  # of its jobs, on the monotonic clock

    @property
    def is_free(self) -> bool:
        """Whether it can take a job."""
        return self.ready and not self.leaving and not self.jobs


@dataclass
class Pool:
    """Trains teams of jobs in worker processes, one for each environment in `slots`.

    `log` takes what the workers say between jobs.
    """

    slots: Sequence[Mapping[str, str]]
    settings: SweepSettings
    log: Path
    watcher: Watcher
    renew: Callable[[Job], Job]  # a failed job, for another attempt
    threads: int = 1
    _waiting: deque[Team] = field(default_factory=deque)
    _attempts: dict[int, int] = field(default_factory=dict)
    _in_team: set[int] = field(default_factory=set)  # the jobs whose latest attempt is not theirs alone
    _workers: dict[int, _Worker] = field(default_factory=dict)  # by slot
    _startup_failures: int = 0
    _stops: int = 0

    def run(self, teams: Sequence[Team]) -> dict[int, Ended]:
        """Train all jobs of `teams`; returns how each ended, by number. Raises `KeyboardInterrupt` after Ctrl-C.

        Ctrl-C once lets the epochs that are being trained come to their end, twice ends them, thrice kills.
        """
        context = multiprocessing.get_context("spawn")
        self._stop = context.RawValue("b", 0)  # without a lock, which a killed worker could take along
        self._waiting.extend(teams)
        outcomes: dict[int, Ended] = {}
        with self._signals():
            try:
                while self._waiting or any(worker.jobs for worker in self._workers.values()):
                    self._schedule(context)
                    for job, ended in self._listen():
                        again = self._may_try_again(job, ended)
                        self.watcher.ended(job, ended, again)
                        if again:
                            self._waiting.append((self.renew(job),))
                        else:
                            outcomes[job.number] = ended
                    self._enforce()
                    self.watcher.tick()
            finally:
                self._dismiss()
        if self._stops:
            raise KeyboardInterrupt
        return outcomes

    def _schedule(self, context: multiprocessing.context.SpawnContext) -> None:
        """Give free workers something to do; start as many as there is work for."""
        if self._stops:
            self._waiting.clear()
            return
        for slot in range(len(self.slots)):
            worker = self._workers.get(slot)
            if worker is None and self._waiting:
                coming = sum(not other.jobs and not other.leaving for other in self._workers.values())
                if coming < len(self._waiting):
                    self._workers[slot] = self._spawn(context, slot)
            elif worker is not None and worker.is_free and self._waiting:
                self._assign(worker, self._waiting.popleft())

    def _spawn(self, context: multiprocessing.context.SpawnContext, slot: int) -> _Worker:
        ours, theirs = context.Pipe()
        arguments = (theirs, self._stop, self.threads, self.log)
        process = context.Process(target=serve, args=arguments, name=f"archsearch-worker-{slot}", daemon=True)
        with environment({**thread_cap(self.threads), **self.slots[slot]}):
            process.start()
        theirs.close()
        return _Worker(process, ours, slot)

    def _assign(self, worker: _Worker, team: Team) -> None:
        worker.jobs = {job.number: job for job in team}
        for number in worker.jobs:
            if len(team) > 1:  # which does not count as one of its attempts
                self._in_team.add(number)
            else:
                self._in_team.discard(number)
                self._attempts[number] = self._attempts.get(number, 0) + 1
        if self.settings.time_limit is not None:
            # The run itself keeps to the limit; this is for one that hangs in native code.
            worker.deadline = time.monotonic() + self.settings.time_limit + _GRACE
        for job in team:
            self.watcher.started(job, self._attempts.get(job.number, 1))
        with suppress(OSError):  # it just died; `_listen` finds out
            worker.connection.send(team)

    def _listen(self) -> Iterator[tuple[Job, Ended]]:
        """What the workers say until the next tick, and what becomes of those that die."""
        workers = list(self._workers.values())
        heard = set(wait([it for w in workers for it in (w.connection, w.process.sentinel)], timeout=_TICK))
        for worker in workers:
            if worker.connection in heard:
                yield from self._read(worker)
            if worker.process.sentinel in heard and worker.slot in self._workers:
                yield from self._read(worker)  # what it said last
                yield from self._reap(worker)

    def _read(self, worker: _Worker) -> Iterator[tuple[Job, Ended]]:
        try:
            while worker.connection.poll():
                message = worker.connection.recv()
                if isinstance(message, Ready):
                    worker.ready, self._startup_failures = True, 0
                elif isinstance(message, RunProgress):
                    self.watcher.progress(message)
                elif message.number in worker.jobs:
                    job, worker.deadline = worker.jobs.pop(message.number), float("inf")
                    if message.state == "KILLED" and not self._stops:  # by somebody else
                        message = replace(message, state="FAILED", reason="its process was told to end", again=True)
                    if message.spent:
                        self._let_go(worker)
                    yield job, message
        except (EOFError, OSError):
            pass  # it died; its sentinel says so, too

    def _reap(self, worker: _Worker) -> Iterator[tuple[Job, Ended]]:
        worker.process.join()
        del self._workers[worker.slot]
        worker.connection.close()
        if not worker.ready:
            self._startup_failures += 1
            if self._startup_failures >= _STARTS:
                raise SweepError(f"workers die before they can start ({_how(worker.process)}); {self.log} may say why")
        for job in worker.jobs.values():
            reason = f"its process {_how(worker.process)}"
            if worker.overdue:
                reason = f"took longer than sweep.time_limit ({self.settings.time_limit:g} s), and was killed"
            state = "KILLED" if self._stops > 1 else "FAILED"
            yield job, Ended(job.number, state, reason, again=not worker.overdue)

    def _may_try_again(self, job: Job, ended: Ended) -> bool:
        failed = ended.state == "FAILED" and ended.again and not self._stops
        return failed and (job.number in self._in_team or self._attempts[job.number] <= self.settings.retries)

    def _enforce(self) -> None:
        for worker in self._workers.values():
            if time.monotonic() > worker.deadline:
                worker.overdue = True
                worker.process.kill()

    def _let_go(self, worker: _Worker) -> None:
        """End a worker that has nothing to do."""
        worker.leaving = True
        with suppress(OSError):  # it is gone already
            worker.connection.send(None)

    def _dismiss(self) -> None:
        for worker in self._workers.values():
            if worker.is_free:
                self._let_go(worker)
            elif worker.ready:
                worker.process.terminate()
            else:
                worker.process.kill()  # it is importing, and has nothing to tell
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
        """Ctrl-C and a polite kill stop the workers, not this loop, which has to put things on record."""

        def stop(number: int, _frame: object) -> None:
            # Who sends SIGTERM (a scheduler) will not wait for an epoch.
            self._stops = max(self._stops + 1, 2 if number == signal.SIGTERM else 1)
            self._stop.value = 1
            for worker in self._workers.values():
                if self._stops > 2 or (self._stops == 2 and not worker.ready):
                    worker.process.kill()
                elif self._stops == 2:
                    worker.process.terminate()
            self.watcher.stopping(self._stops)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _how(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    if code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
