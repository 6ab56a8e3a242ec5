"""The progress of a sweep: a log line for each run that ends, and one bar for all runs on a terminal."""

import logging
import math
import sys
from collections.abc import Mapping

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from archsearch.runs.formatting import duration
from archsearch.sweep.worker import LOG, AttemptEnd, Job, RunProgress

log = logging.getLogger(__name__)

_STOPPING = {
    1: "stopping after the current epoch of each run; press Ctrl-C again to stop at once",
    2: "stopping at once",
}


class Display:
    """Shows what a pool reports. `names` and `seconds` (estimated, of training) are those of the runs, by number."""

    def __init__(self, names: Mapping[int, str], seconds: Mapping[int, float]) -> None:
        self.names, self.seconds = names, seconds
        self.counts = {"done": 0, "running": 0, "failed": 0}
        self.best: tuple[float, str] | None = None
        self._fractions: dict[int, float] = {}
        self._bar: tqdm | None = None  # type: ignore[type-arg]

    def __enter__(self) -> "Display":
        self._redirect = logging_redirect_tqdm(loggers=[logging.getLogger("archsearch")])
        self._redirect.__enter__()
        self._bar = tqdm(
            total=sum(self.seconds.values()),
            desc="sweep",
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
            file=sys.stderr,
            disable=None,  # unless stderr is a terminal
            leave=False,
            dynamic_ncols=True,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        self._redirect.__exit__(None, None, None)

    def started(self, job: Job, attempt: int) -> None:
        self.counts["running"] += 1
        if attempt > 1:
            log.info("%s: attempt %d", self._label(job.number), attempt)
        self.tick()

    def progressed(self, progress: RunProgress) -> None:
        self._fractions[progress.number] = progress.fraction

    def ended(self, job: Job, end: AttemptEnd, retried: bool) -> None:
        self.counts["running"] -= 1
        if end.state == "FINISHED" and end.result is not None:
            self.counts["done"] += 1
            self._fractions[job.number] = 1.0
            log.info("%s: %s", self._label(job.number), self._summary(job.number, end.result))
        elif end.state == "FAILED":
            self.counts["failed"] += not retried
            self._fractions[job.number] = 0.0 if retried else 1.0
            log.warning("%s: FAILED: %s%s", self._label(job.number), end.reason, "; trying again" if retried else "")
            log.warning("  its log: %s", job.folder / LOG)
        else:
            log.info("%s: stopped", self._label(job.number))
        self.tick()

    def stopping(self, signals: int) -> None:
        log.warning(_STOPPING.get(signals, "killing the remaining workers"))

    def tick(self) -> None:
        if self._bar is None or self._bar.disable:
            return
        parts = [f"{number} {state}" for state, number in self.counts.items() if number or state == "done"]
        if self.best is not None:
            parts.append(f"best {self.best[0]:.2f}% {self.best[1]}")
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.n = sum(self.seconds[number] * fraction for number, fraction in self._fractions.items())
        self._bar.refresh()

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
