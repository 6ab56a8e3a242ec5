"""Compares the test predictions of two variants image by image, over all their seeds."""

import csv
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

    `confusion` (classes, classes) is the confusion matrix of A minus that of B, averaged over seeds: true classes are
    rows, predictions columns. `over_images` is the difference in accuracy of these networks, in points, with its
    interval over test images.
    """

    labels: _Ints
    right_a: NDArray[np.float64]
    right_b: NDArray[np.float64]
    guesses: tuple[_Ints, _Ints]  # (seeds, N) of A and of B
    tests: Sequence[McNemar]
    confusion: NDArray[np.float64]
    over_images: statistics.Estimate

    def only(self, which: str, most: int) -> list[int]:
        """Up to `most` images that `A` (or `B`) classifies correctly more often than the other, clearest first."""
        lead = self.right_a - self.right_b if which == "A" else self.right_b - self.right_a
        order = np.argsort(-lead, kind="stable")[:most]
        return [int(image) for image in order if lead[image] > 0]

    def usual_mistake(self, which: str, image: int) -> int:
        """The most frequent wrong prediction for `image` among the networks of `A` (or `B`)."""
        guesses = self.guesses[0 if which == "A" else 1][:, image]
        return int(np.bincount(guesses[guesses != self.labels[image]]).argmax())


def prediction_diff(a: Variant, b: Variant, classes: int) -> PredictionDiff:
    """Compare the stored test predictions of two variants. Raises `ReportError` if that is impossible."""
    by_seed = [{seed: _predictions(run, classes) for seed, run in variant.runs.items()} for variant in (a, b)]
    labels = next(iter(by_seed[0].values()))[0]
    for run_labels, _ in (*by_seed[0].values(), *by_seed[1].values()):
        if not np.array_equal(run_labels, labels):
            raise ReportError(f"{a.label} and {b.label} were not tested on the same images")
    guesses = [np.stack([guess for _, guess in runs.values()]) for runs in by_seed]
    share_a, share_b = ((matrix == labels).mean(axis=0) for matrix in guesses)
    matrices = [_confusion(labels, matrix, classes) for matrix in guesses]
    difference = statistics.paired(share_a.tolist(), share_b.tolist())
    return PredictionDiff(
        labels,
        share_a,
        share_b,
        (guesses[0], guesses[1]),
        [
            _mcnemar(seeds, *(runs[seed][1] == labels for runs, seed in zip(by_seed, seeds, strict=True)))
            for seeds in _pairs(a, b)
        ],
        matrices[0] - matrices[1],
        difference.times(100),
    )


def confusion_of(variant: Variant, classes: int) -> NDArray[np.float64]:
    """The confusion matrix of a variant on the test set, mean over its networks: (classes, classes).

    Raises `ReportError` if predictions are missing or damaged.
    """
    predictions = [_predictions(run, classes) for run in variant.runs.values()]
    return np.asarray(sum(_confusion(labels, guesses[None], classes) for labels, guesses in predictions)) / len(
        predictions
    )


def test_images(info: DatasetInfo, root: Path, fingerprint: str) -> NDArray[np.uint8] | None:
    """The test images (N, height, width) of the data with this `fingerprint`; None if they are not in `root`."""
    try:
        data = load(info, root)
    except UserError:
        return None
    return data.test_images[:, 0] if data.fingerprint == fingerprint else None


def _predictions(run: StudyRun, classes: int) -> tuple[_Ints, _Ints]:
    """Labels and predictions of the test images, in the order of the data set."""
    path = run.fetch(PREDICTIONS)
    if path is None:
        raise ReportError(f"run {run.name} ({run.run_id[:8]}) has no {PREDICTIONS}")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            heading = next(csv.reader(file))
            columns = [heading.index(name) for name in ("index", "label", "prediction")]
            table = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2).astype(np.int64)
    except (OSError, ValueError, StopIteration) as error:
        raise ReportError(f"{path}: got invalid predictions: {error}") from error
    if not len(table) or not np.array_equal(table[:, 0], np.arange(len(table))):
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
