"""The files in a run's folder besides `result.json` and the checkpoint: configuration, layers, predictions, figures."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from archsearch.config.schema import typed_text
from archsearch.config.settings import Settings
from archsearch.data.augment.pipeline import make_augmentation
from archsearch.data.batches import ImageSet
from archsearch.data.load import Dataset
from archsearch.model.drawing import draw, write_drawing
from archsearch.model.plan import Plan
from archsearch.model.table import layer_table
from archsearch.runs.figures import draw_augmented, draw_confusion, draw_curves, draw_mistakes
from archsearch.runs.folder import AUGMENTED, CONFIG, CONFUSION, CURVES, LAYERS, MISTAKES, NETWORK, PREDICTIONS
from archsearch.system.atomic import replacing, write_text
from archsearch.training.metrics import EpochMetrics
from archsearch.training.trainer import Evaluation

_SAMPLES, _SAMPLE_EPOCHS = 6, 7  # images that are shown, and how often


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


def draw_augmentation(folder: Path, settings: Settings, images: ImageSet) -> list[Path]:
    """Draw some of the training `images` as their augmentation changes them. Returns the file, if there is any."""
    augmentation = make_augmentation(settings.augment, images, settings.seed)
    if augmentation is None:
        return []
    originals = images.images[images.indices[:_SAMPLES]].cpu().numpy()
    changed = augmentation.samples(images, _SAMPLES, _SAMPLE_EPOCHS).numpy()
    transforms = [_described(name, values) for name, values in asdict(settings.augment).items() if values is not None]
    caption = ", ".join(transforms)
    draw_augmented(folder / AUGMENTED, originals, changed, caption, "Training images, augmented")
    return [folder / AUGMENTED]


def _described(transform: str, settings: Mapping[str, Any]) -> str:
    """A transform with its settings, as in `crop padding=4 padding_mode=reflect`."""
    return " ".join([transform, *(f"{name}={typed_text(value)}" for name, value in settings.items())])


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
