"""The progress of a search: a log line for each trial that stops or ends, and a bar, or a line every 30 s."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from archsearch.runs.formatting import count
from archsearch.search.loop import SearchLoop
from archsearch.sweep.display import INTERRUPTED
from archsearch.sweep.worker import LOG, AttemptEnd, Job, RunProgress
from archsearch.system.bar import ProgressBar
from archsearch.system.terminal import terminal_width

log = logging.getLogger(__name__)

_INTERVAL = 30.0  # seconds between two lines where there is no terminal
_BAR_INTERVAL = 0.4  # seconds between two states of the bar; to compute one takes a while in a long search
_BAR_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"


class SearchDisplay:
    """Shows what a pool reports, and what has become of all trials of the search, which `loop` knows."""

    def __init__(
        self, loop: SearchLoop, clock: Callable[[], float] = time.monotonic, *, is_untrained: bool = False
    ) -> None:
        self.loop, self.spending, self._clock = loop, loop.spending, clock
        self._is_untrained = is_untrained  # a function evaluates the trials
        self._training: dict[int, RunProgress | None] = {}
        self._bar: ProgressBar | None = None
        self._context = ExitStack()
        self._last_line = self._last_bar = clock()

    def __enter__(self) -> "SearchDisplay":
        if terminal_width(sys.stderr) is not None:
            bar = ProgressBar(total=1.0, bar_format=_BAR_FORMAT)
            bar.set_description_str("search", refresh=False)
            self._bar = self._context.enter_context(bar)
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar = None
        self._context.close()

    def started(self, job: Job, attempt: int, worker: int) -> None:  # noqa: ARG002 # the pool's signature
        """A step of a trial begins."""
        self._training[job.number] = None
        if attempt > 1:
            log.info("%s: attempt %d", label(job), attempt)
        self.tick()

    def progressed(self, progress: RunProgress) -> None:
        """A trial got further."""
        self._training[progress.number] = progress

    def ended(self, job: Job, end: AttemptEnd, retried: bool) -> None:
        """A step of a trial ended; another attempt follows if `retried`."""
        self._training.pop(job.number, None)
        if end.result is not None:
            summary = _values if self._is_untrained else _summary
            log.info("%s: %s", label(job), summary(end.state, end.result))
        elif end.state == "FAILED":
            log.warning("%s: FAILED: %s%s", label(job), end.reason, "; trying again" if retried else "")
            log.warning("  its log: %s", job.folder / LOG)
        self.tick()

    def stopping(self, signals: int) -> None:
        """The search was interrupted; `signals` counts how often so far."""
        log.warning(INTERRUPTED.get(signals, "killing the remaining workers"))

    def tick(self) -> None:
        """Some time has passed."""
        if self._bar is not None and self._clock() - self._last_bar >= _BAR_INTERVAL:
            self._last_bar = self._clock()
            self._bar.n = self.spending.fraction
            self._bar.set_postfix_str(self.state(), refresh=False)
            self._bar.refresh()
        elif self._bar is None and self._clock() - self._last_line >= _INTERVAL:
            self._last_line = self._clock()
            log.info(
                "%.0f%% of the budget spent (%s): %s",
                100 * self.spending.fraction,
                self.spending.describe(),
                self.state(),
            )

    def state(self) -> str:
        """`3 training, 12 trained, 20 stopped, best 99.12% (17), 4 on the front`."""
        counts, best, front = self.loop.counts(), self.loop.most_accurate(), len(self.loop.front())
        done = f"{counts['FINISHED']:,} {'evaluated' if self._is_untrained else 'trained'}"
        parts = [done] if self._is_untrained else [f"{len(self._training)} training", done]
        parts += [f"{counts['STOPPED']:,} stopped"] * bool(counts["STOPPED"])
        parts += [f"{counts['FAILED']:,} failed"] * bool(counts["FAILED"])
        if best is not None:
            parts.append(
                f"best {best[0]:.6g} ({best[1]})" if self._is_untrained else f"best {best[0]:.2f}% ({best[1]})"
            )
        return ", ".join(
            [*parts, *[f"{front:,} on the front"] * (len(self.loop.proposer.objectives) > 1 and front > 0)]
        )


def _summary(state: str, result: Mapping[str, Any]) -> str:
    after = f" after {count(result['epochs_trained'], 'epoch')}"
    stopped = f", stopped{after} of {result['epochs']}" if state == "STOPPED" else after
    return f"val {result['final']['val/accuracy']:.2f}%{stopped}, {result['params']:,} parameters"


def _values(_state: str, result: Mapping[str, Any]) -> str:
    values = [f"{name} {value:.6g}" for name, value in result["final"].items() if name != "epoch"]
    return ", ".join([*values, f"{result['params']:,} parameters"])


def label(job: Job) -> str:
    """The number and the name of a trial."""
    return f"{job.number} {job.prepared.request.name}".rstrip()
