"""Compares the test predictions of two variants image by image, over all their seeds."""

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archsearch.data.info import DatasetInfo
from archsearch.data.load import load
from archsearch.errors import ReportError, UserError
from archsearch.report import statistics
from archsearch.report.study import StudyRun, Variant
from archsearch.runs.folder import PREDICTIONS

_COLUMNS = ("index", "label", "prediction")
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test for two networks: the images that only one of them classifies correctly, and the p-value."""

    seeds: tuple[int, int]
    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True)
class PredictionDiff:
    """The test predictions of two variants. `right_a` (N,) is the share of A's networks that are correct on an image.

    `confusions` are the confusion matrices (classes, classes) of A and B, averaged over seeds: true classes are rows,
    predictions columns. `over_images` is the difference in accuracy of these networks, in points, with its
    interval over test images.
    """

    labels: _Ints
    right_a: NDArray[np.float64]
    right_b: NDArray[np.float64]
    guesses: tuple[_Ints, _Ints]  # (seeds, N) of A and of B
    tests: Sequence[McNemar]
    confusions: tuple[NDArray[np.float64], NDArray[np.float64]]
    over_images: statistics.Estimate

    @property
    def confusion(self) -> NDArray[np.float64]:
        """The confusion matrix of A minus that of B."""
        return self.confusions[0] - self.confusions[1]

    def only(self, which: str, most: int) -> list[int]:
        """Up to `most` images that `A` (or `B`) classifies correctly more often than the other, clearest first."""
        lead = self.right_a - self.right_b if which == "A" else self.right_b - self.right_a
        order = np.argsort(-lead, kind="stable")[:most]
        return [int(image) for image in order if lead[image] > 0]

    def usual_mistake(self, which: str, image: int) -> int:
        """The most frequent wrong prediction for `image` among the networks of `A` (or `B`)."""
        guesses = self.guesses[0 if which == "A" else 1][:, image]
        return int(np.bincount(guesses[guesses != self.labels[image]]).argmax())


def prediction_diff(a: Variant, b: Variant, classes: int, images: int | None = None) -> PredictionDiff:
    """Compare the stored test predictions of two variants; `images` is the size of the test set, if known.

    Raises `ReportError` if that is impossible.
    """
    runs = [*a.runs.values(), *b.runs.values()]
    guesses_of, all_labels = _complete_predictions(runs, classes, images)
    labels = all_labels[0]
    for variant, labels_of_runs in ((a, all_labels[: len(a.runs)]), (b, all_labels[len(a.runs) :])):
        _check_labels(variant, labels_of_runs)
    if not np.array_equal(labels, all_labels[-1]):
        raise ReportError(f"{a.label} and {b.label} were not tested on the same images")
    by_seed = [{seed: guesses_of[run.run_id] for seed, run in variant.runs.items()} for variant in (a, b)]
    guesses = [np.stack(list(runs.values())) for runs in by_seed]
    share_a, share_b = ((matrix == labels).mean(axis=0) for matrix in guesses)
    difference = statistics.paired(share_a.tolist(), share_b.tolist())
    return PredictionDiff(
        labels,
        share_a,
        share_b,
        (guesses[0], guesses[1]),
        [
            _mcnemar(seeds, *(runs[seed] == labels for runs, seed in zip(by_seed, seeds, strict=True)))
            for seeds in _pairs(a, b)
        ],
        (_confusion(labels, guesses[0], classes), _confusion(labels, guesses[1], classes)),
        difference.times(100),
    )


def confusion_of(variant: Variant, classes: int, images: int | None = None) -> NDArray[np.float64]:
    """The confusion matrix of a variant on the test set, mean over its networks: (classes, classes).

    `images` is the size of the test set, if known. Raises `ReportError` if predictions are missing, incomplete or
    damaged.
    """
    guesses, labels = _complete_predictions(list(variant.runs.values()), classes, images)
    _check_labels(variant, labels)
    return _confusion(labels[0], np.stack(list(guesses.values())), classes)


def test_images(info: DatasetInfo, root: Path, fingerprint: str) -> NDArray[np.uint8] | None:
    """The test images (N, channels, height, width) of the data with this `fingerprint`; None if `root` lacks them."""
    try:
        data = load(info, root)
    except UserError:
        return None
    return data.test_images if data.fingerprint == fingerprint else None


def _complete_predictions(
    runs: Sequence[StudyRun], classes: int, images: int | None
) -> tuple[dict[str, _Ints], list[_Ints]]:
    """Predictions by run id, and the labels in the order of the runs; all of them have equally many images."""
    tables = [_predictions(run, classes) for run in runs]
    total = max(images or 0, *(len(labels) for labels, _ in tables))
    for run, (labels, _) in zip(runs, tables, strict=True):
        if len(labels) < total:
            raise ReportError(f"{_source(run)} is incomplete: it has {len(labels):,} of {total:,} test images")
    guesses = {run.run_id: guess for run, (_, guess) in zip(runs, tables, strict=True)}
    return guesses, [labels for labels, _ in tables]


def _check_labels(variant: Variant, labels: Sequence[_Ints]) -> None:
    """Raises `ReportError` unless all runs of a variant have the same labels."""
    counts = [sum(np.array_equal(mine, other) for other in labels) for mine in labels]
    usual = labels[counts.index(max(counts))]
    for run, mine in zip(variant.runs.values(), labels, strict=True):
        if not np.array_equal(mine, usual):
            raise ReportError(f"{_source(run)} has other labels than those of other seeds of {variant.label}")


def _source(run: StudyRun) -> str:
    """The file of a run's predictions, in a message."""
    return f"{run.fetch(PREDICTIONS)}"


def _predictions(run: StudyRun, classes: int) -> tuple[_Ints, _Ints]:
    """Labels and predictions of the test images, in the order of the data set."""
    path = run.fetch(PREDICTIONS)
    if path is None:
        raise ReportError(f"run {run.name} ({run.run_id[:8]}) has no {PREDICTIONS}")
    try:
        with open(path, newline="", encoding="utf-8") as file, warnings.catch_warnings():
            heading = next(csv.reader(file), None)
            if heading is None:
                raise ReportError(f"{path}: the file is empty")
            if not {*_COLUMNS} <= {*heading}:
                raise ReportError(f"{path}: must have the columns {', '.join(_COLUMNS)}")
            columns = [heading.index(name) for name in _COLUMNS]
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            table = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2).astype(np.int64)
    except (OSError, ValueError, csv.Error) as error:
        raise ReportError(f"{path}: got invalid predictions: {error}") from error
    if not len(table):
        raise ReportError(f"{path}: the file has no predictions")
    if not np.array_equal(table[:, 0], np.arange(len(table))):
        raise ReportError(f"{path}: rows must be the test images in order, with index 0, 1, ...")
    if not ((table[:, 1:] >= 0) & (table[:, 1:] < classes)).all():
        raise ReportError(f"{path}: classes must be in 0 to {classes - 1}")
    return table[:, 1], table[:, 2]


def _pairs(a: Variant, b: Variant) -> list[tuple[int, int]]:
    """Pairs of equal seed; if no seed is shared, the runs are paired in order."""
    shared = [(seed, seed) for seed in a.runs if seed in b.runs]
    return shared or list(zip(a.runs, b.runs, strict=False))


def _mcnemar(seeds: tuple[int, int], a: NDArray[np.bool_], b: NDArray[np.bool_]) -> McNemar:
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return McNemar(seeds, only_a, only_b, statistics.mcnemar(only_a, only_b))


def _confusion(labels: _Ints, guesses: _Ints, classes: int) -> NDArray[np.float64]:
    """The confusion matrix, averaged over the networks of `guesses` (seeds, N): (classes, classes)."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (np.broadcast_to(labels, guesses.shape), guesses), 1)
    return counts / len(guesses)
