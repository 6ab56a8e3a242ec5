"""What all pools share: which job comes next, who is tried again, and what Ctrl-C does."""

import signal
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from archsearch.config.settings import SweepSettings
from archsearch.sweep.worker import AttemptEnd, Job, RunProgress, Team

TICK = 0.5  # seconds between two checks of deadlines and signals
GRACE = 20.0  # seconds that a worker has to stop by itself before it is killed


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


@dataclass(kw_only=True)
class PoolBase(ABC):
    """Trains teams of jobs and reports to `listener`; `renew` prepares a failed job for another attempt."""

    settings: SweepSettings
    listener: PoolListener
    renew: Callable[[Job], Job]
    _waiting: deque[Team] = field(default_factory=deque)
    _attempts: dict[int, int] = field(default_factory=dict)
    _in_team: set[int] = field(default_factory=set)  # jobs whose latest attempt was part of a stack
    _stops: int = 0
    _signal: int = signal.SIGINT  # the last that stopped it

    def run(self, teams: Sequence[Team], more: Callable[[], Team | None] = lambda: None) -> dict[int, AttemptEnd]:
        """Train all jobs of `teams`; returns how each ended last, by number.

        A worker for which no team is left takes what `more` returns, if anything; an empty team asks to be asked again.
        Once all workers are idle and it returns None, all is done.

        Raises `KeyboardInterrupt`, with the signal's number, after Ctrl-C or SIGTERM.

        The first Ctrl-C stops each run after its current epoch, the second stops it at once, the third kills workers.
        """
        self._begin()
        self._waiting.extend(teams)
        outcomes: dict[int, AttemptEnd] = {}
        with self._signals():
            try:
                while self._is_needed(more):
                    self._schedule()
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

    @abstractmethod
    def _begin(self) -> None:
        """Prepare for workers."""

    @abstractmethod
    def _places(self) -> int:
        """How many teams can train at once."""

    @abstractmethod
    def _busy(self) -> int:
        """How many teams train now."""

    @abstractmethod
    def _schedule(self) -> None:
        """Begin as many waiting teams as there are places for; none once it is stopped."""

    @abstractmethod
    def _listen(self) -> Iterable[tuple[Job, AttemptEnd]]:
        """Wait for workers, for one tick at most; the attempts that ended."""

    @abstractmethod
    def _kill_overdue(self) -> None:
        """End what takes longer than the time limit."""

    @abstractmethod
    def _stop_workers(self) -> None:
        """Pass on the last of `_stops` signals, within a signal handler."""

    @abstractmethod
    def _end_workers(self) -> None:
        """End all workers, whatever they do."""

    def _is_needed(self, more: Callable[[], Team | None]) -> bool:
        """Whether there is work, or a worker is at it. Fetches a team for each worker that could begin one."""
        busy, is_over = self._busy(), True
        while not self._stops and busy + len(self._waiting) < self._places():
            team = more()
            if not team:
                is_over = team is None
                break
            self._waiting.append(team)
        return bool(self._waiting or busy or not is_over)

    def _will_retry(self, job: Job, end: AttemptEnd) -> bool:
        retryable = end.state == "FAILED" and end.retryable and not self._stops
        return retryable and (job.number in self._in_team or self._attempts[job.number] <= self.settings.retries)

    def _ended_by_others(self, end: AttemptEnd) -> AttemptEnd:
        """`end`, as a failure if somebody else than this pool has killed the attempt."""
        if end.state != "KILLED" or self._stops:
            return end
        reason = "its process was terminated by another process"
        return replace(end, state="FAILED", reason=reason, retryable=True)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop the workers, while this loop goes on to record how their runs end."""

        def stop(number: int, _frame: object) -> None:
            # A scheduler that sends SIGTERM does not wait for an epoch to end.
            self._stops = max(self._stops + 1, 2 if number == signal.SIGTERM else 1)
            self._signal = number
            self._stop_workers()
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
