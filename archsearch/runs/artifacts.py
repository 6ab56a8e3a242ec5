"""The files in a run's folder besides `result.json` and the checkpoint: configuration, layers, predictions, figures."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from archsearch.data.load import Dataset
from archsearch.model.drawing import draw, write_drawing
from archsearch.model.plan import Plan
from archsearch.model.table import layer_table
from archsearch.runs.figures import draw_confusion, draw_curves, draw_mistakes
from archsearch.runs.folder import CONFIG, CONFUSION, CURVES, LAYERS, MISTAKES, NETWORK, PREDICTIONS
from archsearch.system.atomic import replacing, write_text
from archsearch.training.metrics import EpochMetrics
from archsearch.training.trainer import Evaluation


def write_config_and_layers(folder: Path, name: str, config: Mapping[str, Any], plan: Plan) -> None:
    """Write the configuration (YAML), the layer table (text), and the drawing of the network (SVG)."""
    write_text(folder / CONFIG, yaml.safe_dump(config, sort_keys=False))
    write_text(folder / LAYERS, layer_table(plan) + "\n")
    write_drawing(draw(plan, name), folder / NETWORK)


def draw_figures(
    folder: Path, name: str, history: Sequence[EpochMetrics], evaluation: Evaluation, data: Dataset
) -> list[Path]:
    """Draw the curves, and the confusion matrix and worst mistakes of a test `evaluation`. Returns the files."""
    curves, confusion, mistakes = paths = [folder / file for file in (CURVES, CONFUSION, MISTAKES)]
    classes = data.info.classes
    wrong = evaluation.score.total - evaluation.score.correct
    title = f"{name}: {evaluation.score.accuracy:.2f} % of {evaluation.score.total:,} test images, {wrong:,} wrong"
    draw_curves(curves, history, name)
    labels, predictions = evaluation.labels.numpy(), evaluation.predictions.numpy()
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    draw_confusion(confusion, counts, classes, title)
    draw_mistakes(
        mistakes,
        data.test_images,
        labels,
        predictions,
        evaluation.confidences.numpy(),
        classes,
        f"Worst mistakes of {name}",
    )
    return paths


def write_predictions(folder: Path, evaluation: Evaluation) -> Path:
    """Write one row per test image, in the data set's order, so that runs can be compared image by image."""
    path = folder / PREDICTIONS
    with replacing(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "label", "prediction", "confidence"])
        rows = zip(
            evaluation.labels.tolist(), evaluation.predictions.tolist(), evaluation.confidences.tolist(), strict=True
        )
        writer.writerows(
            (index, label, prediction, f"{confidence:.6f}")
            for index, (label, prediction, confidence) in enumerate(rows)
        )
    return path
