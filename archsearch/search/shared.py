"""What the processes that work on one study tell each other: which of them live, and what their trials have reached.

All of it is in attributes of the study. A process that lives changes its own attribute a few times within the lease;
each of the others measures by its own clock how long that has not changed. So clocks need not agree, and the time in
which the database was away counts for nobody.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archsearch.search.postgres import is_away

if TYPE_CHECKING:
    import optuna

    from archsearch.search.postgres import Database

_PROCESS, _TRIAL, _END = "process ", "report of trial ", "end "
_BEATS = 6  # signs of life within the lease


class Shared:
    """The attributes of `study`, for process `me`, which works at `where`. Processes are given up after `lease` s."""

    def __init__(
        self,
        database: "Database",
        study: "optuna.Study",
        me: str,
        where: str,
        lease: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database, self.study, self.me, self.lease = database, study, me, lease
        self.reports: dict[int, Mapping[str, Any]] = {}  # by trial
        self._where, self._clock = where, clock
        self._processes: dict[str, Mapping[str, Any]] = {}
        self._changed: dict[str, float] = {}  # when a process was last heard of, or first looked for
        self._heard: set[str] = set()  # processes that have given a sign of life in this session
        self._attributes: Mapping[str, Any] = {}
        self._refreshed = clock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Shared":
        self.live()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop_living()

    def refresh(self) -> None:
        """Read all attributes."""
        self._attributes = self.study.user_attrs
        self.database.storage.refresh(self._attributes)
        now, before = self._clock(), self._refreshed
        self._refreshed = now
        if now - before > self.lease / 2:  # the database was away, or this process was: nobody could be heard
            self._changed = dict.fromkeys(self._changed, now)
        for name, process in _by_name(self._attributes, _PROCESS).items():
            if process != self._processes.get(name):
                if name in self._processes:
                    self._heard.add(name)
                self._processes[name], self._changed[name] = process, now
        self.reports = {int(number): report for number, report in _by_name(self._attributes, _TRIAL).items()}

    def live(self, *, left: bool = False) -> None:
        """Give a sign of life, or say that this process has `left`."""
        sign = {"where": self._where, "beat": uuid.uuid4().hex[:8], "left": left}
        self.study.set_user_attr(f"{_PROCESS}{self.me}", sign)

    def is_gone(self, process: str) -> bool:
        """Whether another process has left, or was not heard of within the lease."""
        if process == self.me:
            return False
        left = self._processes.get(process, {}).get("left", False)
        return left or self._clock() - self._changed.setdefault(process, self._clock()) > self.lease

    def is_alone(self) -> bool:
        """Whether all other processes are gone."""
        return all(self.is_gone(process) for process in self._processes if process != self.me)

    def where(self, process: str) -> str:
        """The machine and the folder of a process."""
        return str(self._processes.get(process, {}).get("where", process))

    def report(self, number: int, report: Mapping[str, Any]) -> None:
        """Tell the others about a trial of this process."""
        self.study.set_user_attr(f"{_TRIAL}{number}", dict(report))

    def ended_by(self, budget: str) -> str | None:
        """The process that has ended the search with this budget, if any."""
        end = self._attributes.get(f"{_END}{budget}")
        return None if end is None else str(end["process"])

    def ender(self, budget: str) -> str:
        """The machine and the folder of the process that has ended the search with this budget."""
        process = self.ended_by(budget) or ""
        return str(self._processes.get(process, {}).get("where", process))

    def end(self, budget: str, *, is_done: bool = False) -> None:
        """Note that this process ends the search with this budget, or that its finalists are trained (`is_done`)."""
        self.study.set_user_attr(f"{_END}{budget}", {"process": self.me, "done": is_done})

    def trains_finalists(self, budget: str, pause: Callable[[float], object] = time.sleep) -> bool:
        """Whether this process trains the finalists: it has ended the search, or takes over from one that is gone.

        Waits until it is known whether that is gone, at most for the lease.
        """
        while True:
            with self._away_is_nothing():
                self.refresh()
                end = self._attributes[f"{_END}{budget}"]
                process = end["process"]
                if process == self.me or end["done"]:
                    return bool(process == self.me)
                if process in self._heard:
                    return False
                if self.is_gone(process) and self._takes_over(process, budget):
                    return True
            pause(min(1.0, self.lease / _BEATS))

    def leave(self, ended: str | None) -> None:
        """Say that this process has done its part; `ended` is the budget with which it has ended the search, if it has.

        If the database is away, the others find that out by themselves.
        """
        self._stop_living()
        with self._away_is_nothing():
            if ended is not None:
                self.end(ended, is_done=True)
            self.live(left=True)

    def _takes_over(self, process: str, budget: str) -> bool:
        with self._away_is_nothing(), self.database.lock:
            self.refresh()
            if self.ended_by(budget) == process:
                self.end(budget)
                return True
        return False

    @contextmanager
    def _away_is_nothing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not is_away(error):
                raise
            self.database.storage.reset()

    def _stop_living(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self.lease / _BEATS):
            with self._away_is_nothing():
                self.live()


def _by_name(attributes: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name.removeprefix(kind): value for name, value in attributes.items() if name.startswith(kind)}
