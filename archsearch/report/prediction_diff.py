"""Two variants, image by image: what one of them gets right and the other does not, over all their seeds."""

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
    """Two networks of one seed: the images that only one of them has right, and the exact test's p."""

    seeds: tuple[int, int]
    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True)
class PredictionDiff:
    """The test predictions of two variants. `right_a` (N,) is the share of A's networks that have an image right.

    `confusion` (classes, classes) is how many more images of a true class (row) A takes for another (column) than B
    does, on average over seeds. `over_images` is the difference in accuracy, in points, with its interval over images:
    how it may be on other images, with these networks.
    """

    labels: _Ints
    right_a: NDArray[np.float64]
    right_b: NDArray[np.float64]
    guesses: tuple[NDArray[np.int64], NDArray[np.int64]]  # (seeds, N) of A, of B
    tests: Sequence[McNemar]
    confusion: NDArray[np.float64]
    over_images: statistics.Estimate

    def only(self, which: str, most: int) -> list[int]:
        """The images that `A` (or `B`) has right and the other has not, the clearest first; at most so many."""
        lead = self.right_a - self.right_b if which == "A" else self.right_b - self.right_a
        order = np.argsort(-lead, kind="stable")[:most]
        return [int(at) for at in order if lead[at] > 0]

    def usual_mistake(self, which: str, image: int) -> int:
        """What those networks of `A` (or `B`) that have an image wrong take it for most often."""
        guesses = self.guesses[0 if which == "A" else 1][:, image]
        return int(np.bincount(guesses[guesses != self.labels[image]]).argmax())


def prediction_diff(a: Variant, b: Variant, classes: int) -> PredictionDiff:
    """Compare the stored test predictions of two variants. Raises `ReportError` where that is not possible."""
    read = [{seed: _predictions(trial, classes) for seed, trial in variant.trials.items()} for variant in (a, b)]
    labels = next(iter(read[0].values()))[0]
    for each in (*read[0].values(), *read[1].values()):
        if not np.array_equal(each[0], labels):
            raise ReportError(f"{a.label} and {b.label} were not tested on the same images")
    guesses = [np.stack([guess for _, guess in each.values()]) for each in read]
    right = [guess == labels for guess in guesses]
    share_a, share_b = (each.mean(axis=0) for each in right)
    matrices = [_confusion(labels, guess, classes) for guess in guesses]
    lead = statistics.paired(share_a.tolist(), share_b.tolist())
    return PredictionDiff(
        labels,
        share_a,
        share_b,
        (guesses[0], guesses[1]),
        [_mcnemar(seeds, *(read[at][seed][1] == labels for at, seed in enumerate(seeds))) for seeds in _pairs(a, b)],
        matrices[0] - matrices[1],
        lead.times(100),
    )


def test_images(info: DatasetInfo, root: Path, fingerprint: str) -> NDArray[np.uint8] | None:
    """The test images (N, height, width) that runs with this `fingerprint` saw; None where they are not in `root`."""
    try:
        data = load(info, root)
    except UserError:
        return None
    return data.test_images[:, 0] if data.fingerprint == fingerprint else None


def _predictions(trial: StudyRun, classes: int) -> tuple[_Ints, _Ints]:
    """Labels and predictions of the test images, in the data set's order."""
    path = trial.fetch(PREDICTIONS)
    if path is None:
        raise ReportError(f"the run {trial.name} ({trial.run_id[:8]}) has kept no {PREDICTIONS}")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            heading = next(csv.reader(file))
            columns = [heading.index(name) for name in ("index", "label", "prediction")]
            table = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2).astype(np.int64)
    except (OSError, ValueError, StopIteration) as error:
        raise ReportError(f"{path}: not a run's predictions: {error}") from error
    if not len(table) or not np.array_equal(table[:, 0], np.arange(len(table))):
        raise ReportError(f"{path}: its rows are not the test images in their order")
    if not ((table[:, 1:] >= 0) & (table[:, 1:] < classes)).all():
        raise ReportError(f"{path}: names classes that the data set does not have")
    return table[:, 1], table[:, 2]


def _pairs(a: Variant, b: Variant) -> list[tuple[int, int]]:
    """The seeds that both have; where there is none, one with another in their order."""
    shared = [(seed, seed) for seed in a.trials if seed in b.trials]
    return shared or list(zip(a.trials, b.trials, strict=False))


def _mcnemar(seeds: tuple[int, int], a: NDArray[np.bool_], b: NDArray[np.bool_]) -> McNemar:
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return McNemar(seeds, only_a, only_b, statistics.mcnemar(only_a, only_b))


def _confusion(labels: _Ints, guesses: _Ints, classes: int) -> NDArray[np.float64]:
    """Images by true class and guess, on average over the networks of `guesses` (seeds, N)."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (np.broadcast_to(labels, guesses.shape), guesses), 1)
    return counts / len(guesses)
