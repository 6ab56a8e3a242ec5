"""What a person sees while a sweep's variants train: a line for each that ends, and on a terminal one bar for all."""

import logging
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from archsearch.runs.formatting import duration
from archsearch.sweep.worker import LOG, Ended, Job, RunProgress

log = logging.getLogger(__name__)

SWEEP_LOG = "sweep.log"


class Display:
    """A pool's watcher that shows it. `weights` are the variants' estimated seconds, by number."""

    def __init__(self, names: Mapping[int, str], weights: Mapping[int, float]) -> None:
        self.names, self.weights = names, weights
        self.counts = {"done": 0, "running": 0, "failed": 0}
        self.best: tuple[float, str] | None = None
        self._fractions: dict[int, float] = {}
        self._bar: tqdm | None = None  # type: ignore[type-arg]

    def __enter__(self) -> "Display":
        self._redirect = logging_redirect_tqdm(loggers=[logging.getLogger("archsearch")])
        self._redirect.__enter__()
        self._bar = tqdm(
            total=sum(self.weights.values()),
            desc="sweep",
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
            file=sys.stderr,
            disable=None,  # where stderr is no terminal
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
            log.info("%s: attempt %d", self._named(job.number), attempt)
        self.tick()

    def progress(self, progress: RunProgress) -> None:
        self._fractions[progress.number] = progress.fraction

    def ended(self, job: Job, ended: Ended, retried: bool) -> None:
        self.counts["running"] -= 1
        if ended.state == "FINISHED" and ended.result is not None:
            self.counts["done"] += 1
            self._fractions[job.number] = 1.0
            log.info("%s: %s", self._named(job.number), self._summary(ended.result))
        elif ended.state == "FAILED":
            self.counts["failed"] += not retried
            self._fractions[job.number] = 0.0 if retried else 1.0
            log.warning("%s: FAILED: %s%s", self._named(job.number), ended.reason, "; trying again" if retried else "")
            log.warning("  its log: %s", job.folder / LOG)
        else:
            log.info("%s: stopped", self._named(job.number))
        self.tick()

    def stopping(self, times: int) -> None:
        said = {
            1: "stopping: each running variant ends its epoch first; Ctrl-C again stops them at once",
            2: "stopping at once",
        }
        log.warning(said.get(times, "killing what still runs"))

    def tick(self) -> None:
        if self._bar is None or self._bar.disable:
            return
        said = [f"{count} {what}" for what, count in self.counts.items() if count or what == "done"]
        if self.best is not None:
            said.append(f"best {self.best[0]:.2f}% {self.best[1]}")
        self._bar.set_postfix_str(", ".join(said), refresh=False)
        self._bar.n = sum(self.weights[number] * fraction for number, fraction in self._fractions.items())
        self._bar.refresh()

    def _named(self, number: int) -> str:
        return f"{number} {self.names[number]}".rstrip()

    def _summary(self, result: Mapping[str, object]) -> str:
        final, seconds = result["final"], result["seconds"]
        assert isinstance(final, dict)
        assert isinstance(seconds, float)
        chosen = final.get("val/accuracy")
        name = self.names[int(str(result["sweep_run"]["number"]))] if isinstance(result["sweep_run"], dict) else ""
        selecting = chosen if chosen is not None else final.get("test/accuracy", math.nan)
        if self.best is None or selecting > self.best[0]:
            self.best = (selecting, name)
        parts = [f"val {chosen:.2f}%"] if chosen is not None else []
        parts += [f"test {final['test/accuracy']:.2f}%", f"{result['params']:,} parameters", duration(seconds)]
        return ", ".join(parts)


@contextmanager
def logged_to(folder: Path) -> Iterator[None]:
    """While this lasts, what archsearch logs goes to the screen and to `sweep.log` in `folder`, and nowhere else."""
    ours = logging.getLogger("archsearch")
    screen, file = logging.StreamHandler(sys.stdout), _LogFile(folder / SWEEP_LOG, encoding="utf-8")
    screen.setFormatter(_MessageOnly("%(message)s"))
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = ours.handlers[:], ours.level, ours.propagate
    ours.handlers, ours.propagate = [screen, file], False
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        file.close()
        ours.handlers, ours.propagate = before[0], before[2]
        ours.setLevel(before[1])


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """A full disk: the screen has it all the same."""


class _MessageOnly(logging.Formatter):
    """Without tracebacks: those are for the file."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()
