"""What a person sees of a run: a bar an epoch on a terminal (none elsewhere), a line an epoch, a closing summary."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

from archsearch.runs.folder import resume_argument
from archsearch.runs.result import Result
from archsearch.training.metrics import EpochMetrics, Score, best_epoch

if TYPE_CHECKING:
    from archsearch.training.trainer import EpochProgress


class EpochBars:
    """A `Watch` for the trainer that draws each epoch as a bar with loss, accuracy, rate and time left."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None  # type: ignore[type-arg]

    def __enter__(self) -> "EpochBars":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, progress: "EpochProgress") -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=progress.total,
                desc=f"epoch {progress.epoch}/{progress.epochs}",
                unit=" images",
                unit_scale=True,
                file=sys.stderr,
                disable=None,  # where stderr is no terminal
                leave=False,
                dynamic_ncols=True,
            )
        score = progress.score
        self._bar.set_postfix_str(f"loss {score.loss:.4f}, accuracy {score.accuracy:.2f}%", refresh=False)
        self._bar.update(score.total - self._bar.n)
        if progress.finished:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def epoch_line(metrics: EpochMetrics, epochs: int) -> str:
    """One epoch in the reference's words."""
    parts = [f"Epoch {metrics.epoch}/{epochs}", f"Train set: {metrics.train}"]
    if metrics.validation is not None:
        parts.append(f"Val set: {metrics.validation}")
    if metrics.test is not None:
        parts.append(f"Test set: {metrics.test}")
    return "  ".join([*parts, f"lr {metrics.lr:.2g}  {metrics.seconds:.1f} s"])


def data_banner(title: str, reason: str) -> str:
    """Says, so that it cannot be overlooked, that `data=auto` fell back to `title`."""
    return "\n".join(
        ["!" * 78, f"! {reason}", f"! Training on {title} instead. Its accuracies are not MNIST's.", "!" * 78]
    )


def closing_summary(result: Result, folder: Path, device: str, port: int) -> str:
    """What a finished run shows: final and best epoch, size, speed, and where things lie (`port` of the MLflow UI)."""
    final, best = result.history[-1], best_epoch(result.history)
    rows: list[tuple[str, ...]] = [("", "epoch", "train", "validation", "test")]
    rows.append(("final", str(final.epoch), *_accuracies(final.train, final.validation, result.test)))
    chosen = ""
    if best is not None:
        rows.append(("best", str(best.epoch), *_accuracies(best.train, best.validation, best.test)))
        chosen = "best epoch chosen on " + ("validation" if best.validation else "the TEST set: optimistic")
    lines = ["  ".join(f"{cell:>11}" for cell in row).rstrip() for row in rows]
    seconds = sum(metrics.seconds for metrics in result.history)
    images = sum(metrics.train.total for metrics in result.history)
    shown = os.path.relpath(folder)
    size = f"{result.params:,} parameters, {result.macs:,} MACs, receptive field {result.receptive_field}"
    return "\n".join(
        [
            "",
            *lines,
            *([chosen] if chosen else []),
            "",
            f"model    {result.name}: {size}",
            f"data     {result.data['name']}, seed {result.seed}",
            f"time     {seconds:.0f} s of training, {images / seconds:,.0f} images/s on {device}",
            f"run      {result.run_id}",
            f"folder   {shown if not shown.startswith('..') else folder}",
            *_where_to_look(result, folder, port),
        ]
    )


def in_a_line(result: Result) -> str:
    """A finished run in one line, as its description in MLflow."""
    best = best_epoch(result.history)
    parts = [f"test {result.test.accuracy:.2f} % after {len(result.history)} epochs"] if result.test else []
    if best is not None and best.selection is not None:
        chosen_on = "validation" if best.validation else "test set, so optimistic"
        parts.append(f"best epoch {best.epoch} with {best.selection.accuracy:.2f} % ({chosen_on})")
    return " · ".join([*parts, f"{result.params:,} parameters", f"{result.macs:,} MACs"])


def _accuracies(*scores: Score | None) -> tuple[str, ...]:
    return tuple(f"{score.accuracy:.2f}%" if score is not None else "-" for score in scores)


def _where_to_look(result: Result, folder: Path, port: int) -> list[str]:
    if result.tracking.get("uri") is None:
        return []
    where = f"#/experiments/{result.tracking['experiment_id']}/runs/{result.run_id}?workflowType=machine_learning"
    lines = [
        f"MLflow   {result.tracking['uri']}",
        f"         python -m archsearch.ui  shows it at http://127.0.0.1:{port}/{where}",
    ]
    if not result.tracking["complete"]:
        lines.append(
            "WARNING: the tracking store has not taken everything; the folder has it all. Send the rest with:"
            f" python -m archsearch {resume_argument(result, folder)}"
        )
    return lines
