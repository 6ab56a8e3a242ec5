"""How long a sweep still takes: what the plan estimates, corrected by what has been measured."""

import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Seconds of training for which the plan is believed as much as the clock.
_TRUST = 10.0


@dataclass
class _Attempt:
    """An attempt at a run. Its first report ends its start, which is no training and is not measured."""

    started: float
    reported: float | None = None
    fraction: float = 0.0  # of the run, when it was reported first


class TimeLeft:
    """Predicts when a sweep ends, from the reports of its runs.

    `seconds` are the estimates for the runs by number; `workers` train at the same time, after `start_seconds`.
    """

    def __init__(
        self,
        seconds: Mapping[int, float],
        workers: int,
        clock: Callable[[], float] = time.monotonic,
        start_seconds: float = 0.0,
    ) -> None:
        self.seconds, self.workers, self._clock = seconds, workers, clock
        self._training_begins = clock() + start_seconds
        self.fractions = dict.fromkeys(seconds, 0.0)
        self._attempts: dict[int, _Attempt] = {}  # of runs that are being trained
        self._progressing: dict[int, tuple[float, float]] = {}  # their measured and estimated seconds
        self._measured = self._estimated = 0.0  # of attempts that have ended

    @property
    def done(self) -> float:
        """The fraction of the sweep that is trained, by estimated time."""
        total = sum(self.seconds.values())
        return sum(self.seconds[number] * part for number, part in self.fractions.items()) / total if total else 0.0

    def started(self, number: int) -> None:
        """An attempt at run `number` begins."""
        self._attempts[number] = _Attempt(self._clock())

    def progressed(self, number: int, fraction: float) -> None:
        """Run `number` is trained so far."""
        self.fractions[number] = fraction
        attempt = self._attempts.get(number)
        if attempt is None:
            return
        if attempt.reported is None:
            attempt.reported, attempt.fraction = self._clock(), fraction
        work = max(0.0, fraction - attempt.fraction) * self.seconds[number]
        self._progressing[number] = (self._clock() - attempt.reported, work)

    def ended(self, number: int, *, finished: bool, again: bool) -> None:
        """An attempt at run `number` ended. A run that failed has nothing left, unless it begins `again`."""
        attempt, progress = self._attempts.pop(number, None), self._progressing.pop(number, None)
        if finished and attempt is not None:  # with everything that a run does beside training
            progress = self._clock() - attempt.started, (1 - attempt.fraction) * self.seconds[number]
        if progress is not None:
            self._measured += progress[0]
            self._estimated += progress[1]
        self.fractions[number] = 0.0 if again else 1.0

    @property
    def slowness(self) -> float:
        """Measured time per estimated time; near 1 until something has been measured."""
        measured = self._measured + sum(progress[0] for progress in self._progressing.values())
        estimated = self._estimated + sum(progress[1] for progress in self._progressing.values())
        return (measured + _TRUST) / (estimated + _TRUST)

    def seconds_left(self) -> float:
        """Seconds until the last run ends: idle workers take the longest remaining run."""
        remaining = {number: self.seconds[number] * (1 - part) for number, part in self.fractions.items()}
        running = [remaining[number] for number in self._attempts]
        waiting = sorted((part for number, part in remaining.items() if number not in self._attempts), reverse=True)
        # Runs that train as one network count as so many workers.
        ends = running + [0.0] * max(0, self.workers - len(running))
        heapq.heapify(ends)
        for part in waiting:
            heapq.heappush(ends, heapq.heappop(ends) + part)
        left = self.slowness * max(ends, default=0.0)
        if not self._progressing and not self._measured:
            left += max(0.0, self._training_begins - self._clock())
        return max(left, 1.0) if self._attempts else left
