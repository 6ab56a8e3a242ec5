"""The worker processes that train the runs of a sweep on this machine.

Idle workers take the next run. If a worker dies, only its run fails, and a new worker takes its place. Runs that it was
training as one network are then trained one by one.
"""

import multiprocessing
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from archsearch.errors import SweepError
from archsearch.sweep.machine import environment, thread_cap
from archsearch.sweep.pool_base import GRACE, TICK, PoolBase
from archsearch.sweep.worker import AttemptEnd, Job, Ready, RunProgress, Team, serve
from archsearch.system.interrupts import blocked_signals

_STARTUP_FAILURES = 3  # workers in a row that may die before they are ready


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


@dataclass(kw_only=True)
class Pool(PoolBase):
    """Trains teams of jobs in worker processes, one for each environment in `slots`.

    `log` receives what the workers print between jobs.
    """

    slots: Sequence[Mapping[str, str]]
    log: Path
    threads: int = 1
    _workers: dict[int, _Worker] = field(default_factory=dict)  # by slot
    _startup_failures: int = 0

    def _begin(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._stop = self._context.RawValue("b", 0)  # without a lock, which a killed worker could still hold

    def _places(self) -> int:
        return len(self.slots)

    def _busy(self) -> int:
        return sum(bool(worker.jobs) for worker in self._workers.values())

    def _schedule(self) -> None:
        """Assign waiting teams to idle workers; start as many workers as there are teams waiting."""
        if self._stops:
            self._waiting.clear()
            return
        for slot in range(len(self.slots)):
            worker = self._workers.get(slot)
            if worker is None and self._waiting:
                available = sum(not other.jobs and not other.leaving for other in self._workers.values())
                if available < len(self._waiting):
                    self._workers[slot] = self._spawn(slot)
            elif worker is not None and worker.is_idle and self._waiting:
                self._assign(worker, self._waiting.popleft())

    def _spawn(self, slot: int) -> _Worker:
        connection, worker_connection = self._context.Pipe()
        arguments = (worker_connection, self._stop, self.threads, self.log)
        process = self._context.Process(target=serve, args=arguments, name=f"archsearch-worker-{slot}", daemon=True)
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
            worker.deadline = time.monotonic() + self.settings.time_limit + GRACE
        for job in team:
            self.listener.started(job, self._attempts.get(job.number, 1), worker.slot)
        with suppress(OSError):  # it just died; `_listen` notices
            worker.connection.send(team)

    def _listen(self) -> Iterator[tuple[Job, AttemptEnd]]:
        """Wait for messages and deaths of workers, for one tick at most; yields the attempts that ended."""
        workers = list(self._workers.values())
        sources = [source for worker in workers for source in (worker.connection, worker.process.sentinel)]
        ready = set(wait(sources, timeout=TICK))
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
                    if message.worker_unusable:
                        self._dismiss(worker)
                    yield job, self._ended_by_others(message)
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

    def _kill_overdue(self) -> None:
        for worker in self._workers.values():
            if time.monotonic() > worker.deadline:
                worker.overdue = True
                worker.process.kill()

    def _stop_workers(self) -> None:
        self._stop.value = 1
        for worker in self._workers.values():
            if self._stops > 2 or (self._stops == 2 and not worker.ready):
                worker.process.kill()
            elif self._stops == 2:
                worker.process.terminate()

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
        deadline = time.monotonic() + GRACE
        for worker in self._workers.values():
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()


def _exit_cause(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    if code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name
    likely = {"SIGKILL": " (out of memory?)", "SIGBUS": " (was a data file cut short, or is the disk full?)"}
    return f"was killed by {name}{likely.get(name, '')}"
