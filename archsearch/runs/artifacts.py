"""The files that a trained network leaves in its folder: predictions and pictures."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from archsearch.data.load import Dataset
from archsearch.runs.figures import draw_confusion, draw_curves, draw_mistakes
from archsearch.runs.folder import CONFUSION, CURVES, MISTAKES, PREDICTIONS
from archsearch.system.atomic import replacing
from archsearch.training.metrics import EpochMetrics
from archsearch.training.trainer import Evaluation


def draw_figures(
    folder: Path, name: str, history: Sequence[EpochMetrics], evaluation: Evaluation, data: Dataset
) -> list[Path]:
    """Draw curves, confusion matrix and worst mistakes of a test `evaluation` into `folder`; returns their paths."""
    curves, confusion, mistakes = paths = [folder / file for file in (CURVES, CONFUSION, MISTAKES)]
    classes = data.info.classes
    wrong = evaluation.score.total - evaluation.score.correct
    title = f"{name}: {evaluation.score.accuracy:.2f} % of {evaluation.score.total:,} test images, {wrong:,} wrong"
    draw_curves(curves, history, name)
    labels, guesses = evaluation.labels.numpy(), evaluation.predictions.numpy()
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (labels, guesses), 1)
    draw_confusion(confusion, counts, classes, title)
    draw_mistakes(
        mistakes,
        data.test_images,
        labels,
        guesses,
        evaluation.confidences.numpy(),
        classes,
        f"Worst mistakes of {name}",
    )
    return paths


def write_predictions(folder: Path, evaluation: Evaluation) -> Path:
    """One row a test image, in the data set's order, so that any two runs can be compared image by image."""
    path = folder / PREDICTIONS
    with replacing(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "label", "prediction", "confidence"])
        rows = zip(
            evaluation.labels.tolist(), evaluation.predictions.tolist(), evaluation.confidences.tolist(), strict=True
        )
        writer.writerows((i, label, guess, f"{sure:.6f}") for i, (label, guess, sure) in enumerate(rows))
    return path
