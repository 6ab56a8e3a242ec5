"""The console output of a run: a progress bar per epoch (on terminals only), a line per epoch, a closing summary."""

import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from archsearch.model.plan import CUSTOM
from archsearch.runs.folder import resume_argument
from archsearch.runs.formatting import count, duration
from archsearch.runs.result import Result
from archsearch.system.bar import ProgressBar
from archsearch.system.screen import doing
from archsearch.system.terminal import terminal_width
from archsearch.training.metrics import EpochMetrics, Score, best_epoch

if TYPE_CHECKING:
    from archsearch.training.trainer import EpochProgress, Splits

log = logging.getLogger(__name__)

_LOG_SECONDS = 30.0  # between two lines within an epoch, without a terminal


class EpochBars:
    """A `Watch` that shows each epoch as a progress bar on a terminal. Without one, it logs a line from time to time.

    Both have loss, accuracy and remaining time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar: ProgressBar | None = None
        self._is_terminal = sys.stderr is not None and terminal_width(sys.stderr) is not None
        self._clock = clock
        self._epoch, self._started, self._logged = 0, 0.0, 0.0
        self._waiting = ExitStack()  # while no batches are trained

    def __enter__(self) -> "EpochBars":
        self._waiting.enter_context(doing("starting to train"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.close()
        self._close()

    def __call__(self, progress: "EpochProgress") -> None:
        self._waiting.close()
        if self._is_terminal:
            self._draw(progress)
        else:
            self._log(progress)

    def _draw(self, progress: "EpochProgress") -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            if self._bar is None:
                self._bar = ProgressBar(
                    total=progress.total,
                    initial=progress.score.total,  # the rate is measured from here
                    desc=f"epoch {progress.epoch}/{progress.epochs}",
                    bar_format="{desc} {percentage:3.0f}%|{bar}| {rate_fmt}, {remaining} left{postfix}",
                    unit=" images",
                    unit_scale=True,
                    mininterval=0,  # progress arrives rarely enough
                )
            self._bar.set_postfix_str(_running_score(progress.score), refresh=False)
            self._bar.update(progress.score.total - self._bar.n)
        if progress.finished:
            self._close()
            self._waiting.enter_context(doing("evaluating"))

    def _log(self, progress: "EpochProgress") -> None:
        now = self._clock()
        if progress.epoch != self._epoch:
            self._epoch, self._started, self._logged = progress.epoch, now, now
        if progress.finished or now - self._logged < _LOG_SECONDS:
            return
        self._logged = now
        share = progress.score.total / progress.total
        seconds = (now - self._started) / share * (1 - share)
        remaining = f"{duration(seconds)} left" if now > self._started else ""
        name = f"epoch {progress.epoch}/{progress.epochs}"
        log.info("%s", f"{name}: {share:.0%}, {_running_score(progress.score)}, {remaining}")

    def _close(self) -> None:
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.close()
            self._bar = None


def _running_score(score: Score) -> str:
    return f"loss {score.loss:.3f} acc {score.accuracy:.1f}%"


def opening_line(result: Result, data: str, splits: "Splits", epochs_trained: int, hardware: str) -> str:
    """What is about to be trained. `data` is the title of the data set."""
    held_out = f", {len(splits.validation):,} held out" if splits.validation is not None else ""
    resumed = f", continuing after epoch {epochs_trained}" if epochs_trained else ""
    precision = f" in {result.precision}" if result.precision is not None else ""
    return (
        f"{result.name}: {count(result.params, 'parameter')} on {data} ({count(len(splits.train), 'image')}{held_out}),"
        f" {count(result.epochs, 'epoch')}{precision} on {hardware}{resumed}"
    )


def imbalance_line(classes: Sequence[str], sizes: Sequence[int]) -> str | None:
    """What is said of training images of which one class has more than twice as many as another; None otherwise."""
    smallest, largest = min(sizes, default=0), max(sizes, default=0)
    if largest <= 2 * smallest:
        return None
    rare, common = classes[sizes.index(smallest)], classes[sizes.index(largest)]
    return (
        f"classes have from {smallest:,} ({rare}) to {largest:,} ({common}) images: accuracy says little of the rare"
        " ones, balanced_accuracy does; trainer.class_weights=balanced lets all classes count alike"
    )


def epoch_line(metrics: EpochMetrics, epochs: int) -> str:
    """One epoch, in the wording of the EVA6 reference."""
    parts = [f"Epoch {metrics.epoch}/{epochs}", f"Train set: {metrics.train}"]
    if metrics.validation is not None:
        parts.append(f"Val set: {metrics.validation}")
    if metrics.test is not None:
        parts.append(f"Test set: {metrics.test}")
    return "  ".join([*parts, f"lr {metrics.lr:.2g}  {metrics.seconds:.1f} s"])


def shorter_epoch_lines(metrics: EpochMetrics, epochs: int) -> list[str]:
    """`epoch_line` for terminals that are too narrow for it, from the longest."""
    scores = {"train": metrics.train, "val": metrics.validation, "test": metrics.test}
    measured = [(name, score) for name, score in scores.items() if score is not None]
    start, end = f"Epoch {metrics.epoch}/{epochs}", f"{metrics.seconds:.1f} s"
    full = [f"{name} loss {score.loss:.4f}, accuracy {score.accuracy:.2f}%" for name, score in measured]
    short = [f"{name} loss {score.loss:.4f} acc {score.accuracy:.2f}%" for name, score in measured]
    least = [f"{name} {score.accuracy:.2f}%" for name, score in measured]
    variants = ([start, *full, f"lr {metrics.lr:.2g}", end], [start, *short, end], [start, *least, end])
    return ["  ".join(parts) for parts in variants]


def data_banner(title: str, reason: str) -> str:
    """A prominent warning that `data=auto` fell back to the data set `title`."""
    return "\n".join(
        ["!" * 78, f"! {reason}", f"! Training on {title} instead. Its accuracies are not MNIST's.", "!" * 78]
    )


def interruption_message(result: Result, folder: Path) -> str:
    """How many epochs an interrupted run has trained, and how to resume it."""
    trained = f"{len(result.history)} of {count(result.epochs, 'epoch')}"
    return f"\ninterrupted after {trained}. Resume with: {_resume_command(result, folder)}"


def closing_summary(result: Result, folder: Path, device: str, port: int) -> str:
    """Final and best epoch, size, speed, folder, and the run's page in the MLflow UI on `port`."""
    final, best = result.history[-1], best_epoch(result.history)
    rows: list[tuple[str, ...]] = [("", "epoch", "train", "validation", "test")]
    rows.append(("final", str(final.epoch), *_accuracies(final.train, final.validation, result.test)))
    selection = ""
    if best is not None:
        rows.append(("best", str(best.epoch), *_accuracies(best.train, best.validation, best.test)))
        selection = "best epoch chosen on " + ("validation" if best.validation else "the TEST set: optimistic")
    lines = ["  ".join(f"{cell:>11}" for cell in row).rstrip() for row in rows]
    seconds = sum(metrics.seconds for metrics in result.history)
    images = sum(metrics.train.total for metrics in result.history)
    relative = os.path.relpath(folder)
    size = f"{result.params:,} parameters, {result.macs:,} MACs, receptive field {result.receptive_field or 'unknown'}"
    return "\n".join(
        [
            "",
            *lines,
            *([selection] if selection else []),
            "",
            f"model    {result.name}: {size}",
            f"data     {result.data['name']}, seed {result.seed}",
            f"time     {seconds:.0f} s of training, {images / seconds:,.0f} images/s on {device}",
            f"run      {result.run_id}",
            f"folder   {relative if not relative.startswith('..') else folder}",
            *_tracking_lines(result, folder, port),
        ]
    )


def _resume_command(result: Result, folder: Path) -> str:
    """What resumes a run: a command, or a line of Python if it needs a network of one's own."""
    argument = resume_argument(result, folder)
    if result.choices.get("model") == CUSTOM:
        return f"archsearch.train({shlex.split(argument)[0]!r}, network=...)"
    return f"python -m archsearch {argument}"


def one_line_summary(result: Result) -> str:
    """A finished run in one line: its description in MLflow."""
    best = best_epoch(result.history)
    parts = [f"test {result.test.accuracy:.2f} % after {count(len(result.history), 'epoch')}"] if result.test else []
    if best is not None and best.selection is not None:
        chosen_on = "validation" if best.validation else "test set, so optimistic"
        parts.append(f"best epoch {best.epoch} with {best.selection.accuracy:.2f} % ({chosen_on})")
    return " · ".join([*parts, f"{result.params:,} parameters", f"{result.macs:,} MACs"])


def _accuracies(*scores: Score | None) -> tuple[str, ...]:
    return tuple(f"{score.accuracy:.2f}%" if score is not None else "-" for score in scores)


def _tracking_lines(result: Result, folder: Path, port: int) -> list[str]:
    if result.tracking.get("uri") is None:
        return []
    uri, experiment = str(result.tracking["uri"]), result.tracking.get("experiment_id")
    page = f"/#/experiments/{experiment}/runs/{result.run_id}?workflowType=machine_learning"
    lines = [f"MLflow   {uri}"]
    if experiment is not None and uri.startswith("http"):
        lines.append(f"         {uri.rstrip('/')}{page}")
    elif experiment is not None:
        lines.append(f"         python -m archsearch.ui  shows it at http://127.0.0.1:{port}{page}")
    if not result.tracking["complete"]:
        lines.append(
            "WARNING: MLflow lacks a part of the record; the folder is complete. Send the rest with:\n"
            f"  {_resume_command(result, folder)}"
        )
    return lines
