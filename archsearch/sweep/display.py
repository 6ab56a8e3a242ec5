"""The progress of a sweep: a log line for each run that ends; on a terminal bars, elsewhere a line every 30 s."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from archsearch.runs.formatting import count, duration
from archsearch.sweep.time_left import TimeLeft
from archsearch.sweep.worker import LOG, AttemptEnd, Job, RunProgress
from archsearch.system.bar import MARGIN, ProgressBar
from archsearch.system.terminal import terminal_width

log = logging.getLogger(__name__)

INTERRUPTED = {
    1: "stopping after the current epoch of each run; press Ctrl-C again to stop at once",
    2: "stopping at once",
}
_START_SECONDS = 8.0  # until the workers have imported torch and read the data
_INTERVAL = 30.0  # seconds between two lines where there is no terminal
_MOST_NAMED = 4  # runs in such a line
_MOST_LINES = 16  # below the bar, one for each worker
_BAR_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"


class Display:
    """Shows what a pool reports. `names` and `seconds` (estimated, of training) are those of the runs, by number."""

    def __init__(
        self,
        names: Mapping[int, str],
        seconds: Mapping[int, float],
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.names, self.workers, self._clock = names, workers, clock
        self.time_left = TimeLeft(seconds, workers, clock, _START_SECONDS)
        self.counts = {"done": 0, "failed": 0}
        self.best: tuple[float, str] | None = None
        self._running: dict[int, list[int]] = {}  # runs by worker
        self._progress: dict[int, RunProgress] = {}
        self._bars: list[ProgressBar] = []  # the sweep's, and the workers'
        self._context = ExitStack()
        self._begun = self._last_line = clock()

    def __enter__(self) -> "Display":
        self._begun = self._last_line = self._clock()
        if terminal_width(sys.stderr) is not None:
            formats = [_BAR_FORMAT, *["{desc}"] * min(self.workers, _MOST_LINES)]
            for position, bar_format in enumerate(formats):
                bar = ProgressBar(total=1.0, bar_format=bar_format, position=position)
                self._bars.append(self._context.enter_context(bar))
            self.tick()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.clear()
        self._context.close()

    def started(self, job: Job, attempt: int, worker: int) -> None:
        """An attempt at `job` begins; the first is 1. `worker` trains it."""
        self._running.setdefault(worker, []).append(job.number)
        self.time_left.started(job.number)
        if attempt > 1:
            log.info("%s: attempt %d", self._label(job.number), attempt)
        self.tick()

    def progressed(self, progress: RunProgress) -> None:
        """A run got further."""
        self._progress[progress.number] = progress
        self.time_left.progressed(progress.number, progress.fraction)

    def ended(self, job: Job, end: AttemptEnd, retried: bool) -> None:
        """An attempt at `job` ended; another one follows if `retried`."""
        for numbers in self._running.values():
            if job.number in numbers:
                numbers.remove(job.number)
        self._progress.pop(job.number, None)
        finished = end.state == "FINISHED" and end.result is not None
        self.time_left.ended(job.number, finished=finished, again=retried)
        if end.state == "FINISHED" and end.result is not None:
            self.counts["done"] += 1
            log.info("%s: %s", self._label(job.number), self._summary(job.number, end.result))
        elif end.state == "FAILED":
            self.counts["failed"] += not retried
            log.warning("%s: FAILED: %s%s", self._label(job.number), end.reason, "; trying again" if retried else "")
            log.warning("  its log: %s", job.folder / LOG)
        else:
            log.info("%s: stopped", self._label(job.number))
        self.tick()

    def stopping(self, signals: int) -> None:
        """The sweep was interrupted; `signals` counts how often so far."""
        log.warning(INTERRUPTED.get(signals, "killing the remaining workers"))

    def tick(self) -> None:
        """Some time has passed."""
        if self._bars:
            self._draw()
        elif self._clock() - self._last_line >= _INTERVAL:
            self._last_line = self._clock()
            log.info("%s", self._line())

    def _draw(self) -> None:
        width = terminal_width(sys.stderr) or 80
        bar, *lines = self._bars
        bar.set_description_str("sweep", refresh=False)
        bar.set_postfix_str(self._state(width), refresh=False)
        bar.n = self.time_left.done
        for worker, line in enumerate(lines):
            line.set_description_str(self._worker_line(worker, width), refresh=False)
        for each_bar in self._bars:
            each_bar.refresh()

    def _state(self, width: int) -> str:
        """Time left, counts and the best so far: what stands behind the bar. It leaves the bar a part of `width`."""
        parts = [f"{ProgressBar.format_interval(round(self.time_left.seconds_left()))} left"]
        parts.append(f"{self.counts['done']:,} of {len(self.names):,} done")
        if self.counts["failed"]:
            parts.append(f"{self.counts['failed']:,} failed")
        if self.best is not None:
            room = max(0, width - 90)
            parts.append(f"best {self.best[0]:.2f}% {self.best[1]:.{room}}".rstrip())
        return ", ".join(parts)

    def _worker_line(self, worker: int, width: int) -> str:
        """The run that `worker` trains, with its epoch and accuracy first, because its name may be long."""
        numbers = self._running.get(worker)
        if not numbers:
            return "  starting" if numbers is None else "  idle"
        others = f" and {count(len(numbers) - 1, 'other run')}, as one network" if len(numbers) > 1 else ""
        room = width - len(others) - MARGIN - 1
        return f"  {self._epoch(numbers[0]) or 'reading the data':<22}  {self._label(numbers[0])}"[:room] + others

    def _epoch(self, number: int) -> str:
        progress = self._progress.get(number)
        if progress is None:
            return ""
        return f"epoch {progress.epoch:>{len(str(progress.epochs))}}/{progress.epochs}  {progress.accuracy:5.2f}%"

    def _line(self) -> str:
        """The state of the sweep for a log."""
        running = [number for numbers in self._running.values() for number in numbers]
        named = [f"{self._label(number)} {self._epoch(number)}".rstrip() for number in running[:_MOST_NAMED]]
        more = [f"{len(running) - _MOST_NAMED} more"] if len(running) > _MOST_NAMED else []
        left = duration(self.time_left.seconds_left())
        state = f"{self.counts['done']:,} of {count(len(self.names), 'run')} done, about {left} left"
        return "; ".join([state, *named, *more]) if running else f"{state}; workers are starting"

    def _label(self, number: int) -> str:
        return f"{number} {self.names[number]}".rstrip()

    def _summary(self, number: int, result: Mapping[str, object]) -> str:
        final, seconds = result["final"], result["seconds"]
        assert isinstance(final, dict)
        assert isinstance(seconds, float)
        validation = final.get("val/accuracy")
        selecting = validation if validation is not None else final.get("test/accuracy", math.nan)
        if self.best is None or selecting > self.best[0]:
            self.best = (selecting, self.names[number])
        parts = [f"val {validation:.2f}%"] if validation is not None else []
        parts += [f"test {final['test/accuracy']:.2f}%", f"{result['params']:,} parameters", duration(seconds)]
        return ", ".join(parts)
