"""Figures of a run: curves, confusion matrix, worst mistakes."""

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.system.atomic import replacing
from archsearch.system.terminal import printable
from archsearch.training.metrics import EpochMetrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"train": "#5b7a9d", "val": "#c8553d", "test": "#3a7d44"}
_LONGEST_NAME = 20  # characters of a class
_LONGEST_LINE = 20  # characters above an image
_CELL = 1.35  # inches for an image, and for what is above it
_MOST_CLASSES = 26  # with a number in each cell of the confusion matrix
_LABELS = {"train": "train (while learning)", "val": "validation", "test": "test"}


def draw_curves(path: Path, history: Sequence[EpochMetrics], title: str) -> None:
    """Loss and accuracy per epoch, in training and in the evaluation after each epoch."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(10, 4)
    for position, (quantity, unit) in enumerate((("loss", "cross-entropy"), ("accuracy", "%")), 1):
        axes = figure.add_subplot(1, 2, position)
        for split, colour in _COLOURS.items():
            points = [(m.epoch, m.numbers()[f"{split}/{quantity}"]) for m in history if f"{split}/loss" in m.numbers()]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, label=_LABELS[split])
        axes.set_title(quantity.capitalize())
        axes.set_xlabel("epoch")
        axes.set_ylabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    save_figure(figure, path, title)


def draw_confusion(path: Path, confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> None:
    """`confusion[true, predicted]`, with numbers unless there are many classes.

    Only mistakes are coloured: the diagonal would dominate the scale.
    """
    count = len(classes)
    side = min(max(7.0, 1.5 + 0.42 * count), 14.0)
    figure = new_figure(side + 0.5, side)
    axes = figure.add_subplot()
    mistakes = np.where(np.eye(count, dtype=bool), 0, confusion)
    axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1, mistakes.max()))
    for true, predicted in zip(*np.nonzero(confusion), strict=True) if count <= _MOST_CLASSES else ():
        number = confusion[true, predicted]
        dark = true != predicted and number > mistakes.max() / 2
        weight = "normal" if true == predicted else "bold"
        axes.text(predicted, true, str(number), ha="center", va="center", fontsize=9, weight=weight,
                  color="white" if dark else "#777777" if true == predicted else "black")  # fmt: skip
    names = _short_names(classes)
    rotation = 0 if max(map(len, names)) < 3 else 45 if count <= _MOST_CLASSES else 90
    size = min(10.0, 0.7 * 72 * (side - 2) / count)  # of the font, in points: a row of the matrix has room for it
    alignment: Any = "right" if rotation == 45 else "center"
    axes.set_xticks(range(count), names, rotation=rotation, ha=alignment, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    save_figure(figure, path, title)


def draw_mistakes(
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    predictions: NDArray[np.int64],
    confidences: NDArray[np.float32],
    classes: Sequence[str],
    title: str,
    columns: int = 8,
    rows: int = 4,
) -> None:
    """The misclassified `images` (N, channels, height, width) with the highest confidence, highest first.

    Images of one channel are dark on light, those of three in colour.
    """
    wrong = np.flatnonzero(labels != predictions)
    worst = wrong[np.argsort(-confidences[wrong], kind="stable")][: columns * rows]
    if not len(worst):
        figure = new_figure(_CELL * columns, 2)
        figure.text(0.5, 0.4, "no mistakes", ha="center", fontsize=14)
        save_figure(figure, path, title)
        return
    rows = -(-len(worst) // columns)
    names, texts = _short_names(classes), []
    for index in worst:
        mistake = f"{names[labels[index]]} taken for {names[predictions[index]]}"
        lines = textwrap.wrap(mistake, _LONGEST_LINE, break_long_words=False)
        texts.append("\n".join([*lines, f"#{index}, {confidences[index]:.0%} sure"]))
    most_lines = max(text.count("\n") for text in texts) + 1
    channels, height, width = images.shape[1:]
    scale = min(0.87 / width, 1.0 / height) * _CELL  # inches a pixel
    cell_height, cell_width = height + round((0.14 * most_lines + 0.15) / scale), round(_CELL / scale)
    sheet = np.full((rows * cell_height, columns * cell_width, channels), 0 if channels == 1 else 255, np.uint8)
    figure = new_figure(_CELL * columns, rows * cell_height * scale + 0.6)
    # One image of all: separate axes would take most of the time at the end of a run.
    axes = figure.add_subplot()
    axes.set_axis_off()
    for position, (index, text) in enumerate(zip(worst, texts, strict=True)):
        row, column = divmod(position, columns)
        bottom, left = (row + 1) * cell_height, column * cell_width + (cell_width - width) // 2
        sheet[bottom - height : bottom, left : left + width] = images[index].transpose(1, 2, 0)
        place = (left + width / 2 - 0.5, bottom - 0.5 - height - 0.04 / scale)
        axes.text(*place, text, ha="center", va="bottom", fontsize=7.5)
    axes.imshow(sheet[..., 0] if channels == 1 else sheet, cmap="gray_r", vmin=0, vmax=255)
    save_figure(figure, path, title)


def draw_augmented(
    path: Path, originals: NDArray[np.uint8], changed: NDArray[np.uint8], caption: str, title: str
) -> None:
    """A row for each of the `originals` (N, channels, height, width): the image, then as `changed` (epochs, N, ...).

    The `caption` says what changed them.
    """
    rows = [np.stack([original, *changed[:, number]]) for number, original in enumerate(originals)]
    count, columns = len(rows), len(rows[0])
    channels, height, width = originals.shape[1:]
    margin = max(2, round(max(height, width) * 0.12))
    cell_height, cell_width = height + margin, max(width, height // 2) + margin  # a column has room for its name
    background = 16 if channels == 1 else 255  # where black is white, a light grey shows where images end
    sheet = np.full((count * cell_height, columns * cell_width, channels), background, np.uint8)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = row * cell_height, column * cell_width + (cell_width - margin - width) // 2
            sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    figure = new_figure(1.1 * columns, 1.1 * count * cell_height / cell_width + 0.9)
    axes = figure.add_subplot()
    axes.imshow(sheet[..., 0] if channels == 1 else sheet, cmap="gray_r", vmin=0, vmax=255)
    places = [column * cell_width + (cell_width - margin - 1) / 2 for column in range(columns)]
    axes.set_xticks(places, ["original", *(f"epoch {epoch}" for epoch in range(1, columns))], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(textwrap.fill(caption, 16 * columns), fontsize=9)
    save_figure(figure, path, title)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, with its size in inches."""
    # Not pyplot, which has global state and may need a window system.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", path: Path, title: str) -> None:
    """Write `figure` to `path`, with `title` above it."""
    from matplotlib.text import Text

    figure.suptitle(textwrap.fill(title, int(10 * figure.get_figwidth())))
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names of classes and values of settings may contain $
    with replacing(path) as scratch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(scratch, dpi=120)


def _short_names(classes: Sequence[str]) -> list[str]:
    """The names of `classes` without control characters, and without the middle if they are long."""
    names = map(printable, classes)
    return [name if len(name) <= _LONGEST_NAME else f"{name[:9]}...{name[-8:]}" for name in names]
