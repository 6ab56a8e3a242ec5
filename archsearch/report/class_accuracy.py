"""The accuracy of a variant on each class of the test set, from its confusion matrix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archsearch.report.tables import Cell, Table

_LOWEST = 3  # classes in a sentence


def class_table(confusion: NDArray[np.float64], classes: Sequence[str]) -> Table:
    """One row per class, lowest accuracy first: its images, its accuracy, and its most frequent mistake.

    `confusion` (classes, classes) has true classes in rows; classes without images are left out.
    """
    accuracies = _accuracies(confusion)
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0.0, confusion)
    rows = [
        [
            Cell(classes[index]),
            Cell(f"{confusion[index].sum():,.0f}", float(confusion[index].sum())),
            Cell(f"{accuracies[index]:.2f}", float(accuracies[index])),
            Cell(classes[int(mistakes[index].argmax())] if mistakes[index].any() else "-"),
        ]
        for index in _lowest_first(accuracies)
    ]
    return Table("Accuracy by class", ["class", "test images", "accuracy, %", "usually mistaken for"], rows)


def class_sentence(subject: str, confusion: NDArray[np.float64], classes: Sequence[str]) -> str:
    """The balanced accuracy of `subject`, and the classes with the lowest accuracy."""
    accuracies = _accuracies(confusion)
    lowest = [f"{classes[index]} ({accuracies[index]:.2f} %)" for index in _lowest_first(accuracies)[:_LOWEST]]
    balanced = f"{np.nanmean(accuracies):.2f} %"
    return f"Balanced accuracy of {subject} on the test set: {balanced}; lowest on {', '.join(lowest)}"


def class_accuracies(confusion: NDArray[np.float64], classes: Sequence[str]) -> dict[str, float]:
    """The accuracy on each class that has images, in percent."""
    values = zip(classes, _accuracies(confusion), strict=True)
    return {name: float(value) for name, value in values if not np.isnan(value)}


def _accuracies(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """In percent (classes,); NaN for classes without images."""
    images = confusion.sum(axis=1)
    accuracies = np.full(len(confusion), np.nan)
    np.divide(100 * np.diag(confusion), images, out=accuracies, where=images > 0)
    return accuracies


def _lowest_first(accuracies: NDArray[np.float64]) -> list[int]:
    """Classes with images, by accuracy."""
    order = np.argsort(accuracies, kind="stable")  # NaN comes last
    return [int(index) for index in order if not np.isnan(accuracies[index])]
