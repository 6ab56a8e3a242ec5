"""The plots of a report, as inline SVG."""

import io
from base64 import b64encode
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archsearch.compose.labels import labels
from archsearch.report.ablation import Ablation, Effect
from archsearch.report.leaderboard import Leaderboard
from archsearch.report.numerals import points
from archsearch.report.plot_labels import LONGEST, cut, in_lines, shortened, variant_labels
from archsearch.report.statistics import Estimate
from archsearch.report.svg import ACCENT, INK, LINE, MUTED, OTHER, add_tooltip, svg_style, to_svg
from archsearch.runs.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 25
_MOST_CLASSES = 20  # with numbers
WIDTH = 4.8  # inches of 72 pixels: the width of a phone


def ranking_plot(board: Leaderboard) -> str:
    """One row per variant, best first: its runs as dots, its mean as a diamond with its interval."""
    rows = board.rows[:MOST_ROWS]
    with svg_style():
        height = 0.9 + 0.3 * len(rows)
        figure = new_figure(WIDTH, height)
        axes = figure.add_subplot()
        tooltips: dict[str, str] = {}
        for y, row in enumerate(rows):
            scores = list(row.variant.scores().values())
            colour = ACCENT if row.place == 1 else OTHER
            if not isnan(row.score.low):
                axes.plot([row.score.low, row.score.high], [y, y], color=colour, linewidth=2, zorder=2)
            if len(scores) > 1:
                axes.plot(scores, [y] * len(scores), "o", color=MUTED, markersize=3.5, alpha=0.7, zorder=3)
            (marker,) = axes.plot([row.score.value], [y], "D", color=colour, markersize=6, zorder=4)
            add_tooltip(marker, f"{row.variant.label}: {accuracy_text(row.score)}", tooltips)
        names = variant_labels(rows)
        _label_rows(axes, names.texts)
        axes.set_ylabel(in_lines(names.settings or "", height - 0.7))
        axes.set_xlabel(f"{board.study.judged_on} accuracy, %")
        axes.grid(axis="x", color=LINE)
        title = f"Variants by {board.study.judged_on} accuracy with 95 % intervals; the table above has the numbers"
        return to_svg(figure, title, tooltips)


def effect_plot(effect: Effect) -> str:
    """The effects of a setting's values relative to the reference value, with 95 % intervals."""
    with svg_style():
        figure = new_figure(WIDTH, 0.95 + 0.3 * len(effect.levels))
        axes = figure.add_subplot()
        axes.axvline(0, color=MUTED, linewidth=1)
        tooltips: dict[str, str] = {}
        for y, level in enumerate(effect.levels):
            difference = level.effect
            value = difference.value if difference is not None else 0.0
            if difference is not None and not isnan(difference.low):
                axes.plot([difference.low, difference.high], [y, y], color=ACCENT, linewidth=2)
            (marker,) = axes.plot([value], [y], "o", color=ACCENT, markersize=6)
            add_tooltip(marker, f"{level.value}: {points(value, '+')} points, mean {level.mean:.2f} %", tooltips)
        _label_rows(axes, [level.value for level in effect.levels])
        (name,) = labels([effect.factor])
        axes.set_ylabel(cut(name, 18))
        axes.set_xlabel(f"points relative to {effect.reference}")
        axes.grid(axis="x", color=LINE)
        return to_svg(figure, f"Effect of {name} with 95 % intervals; the table has the numbers", tooltips)


def importance_plot(ablation: Ablation) -> str:
    """The importance of settings, as bars."""
    with svg_style():
        figure = new_figure(WIDTH, 0.9 + 0.32 * len(ablation.importances))
        axes = figure.add_subplot()
        for y, importance in enumerate(ablation.importances):
            value, sd = importance.percent, importance.sd
            axes.barh([y], [value], color=ACCENT, height=0.6)
            axes.plot([max(0.0, value - sd), min(100.0, value + sd)], [y, y], color=INK, linewidth=1.2)
        _label_rows(axes, labels([importance.factor for importance in ablation.importances]))
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the variance between runs")
        axes.grid(axis="x", color=LINE)
        return to_svg(figure, "Importance of settings; the table has the numbers", {})


def confusion_plot(confusion: NDArray[np.float64], classes: Sequence[str], is_difference: bool = True) -> str:
    """A confusion matrix (classes, classes), or the difference of two, as squares; the diagonal is left out."""
    with svg_style():
        figure = new_figure(WIDTH, min(0.5 * len(classes), 4.6) + 0.9)
        axes = figure.add_subplot()
        mistakes = np.where(np.eye(len(classes), dtype=bool), 0.0, confusion)
        largest = max(1.0, float(np.abs(mistakes).max()))
        for true, guess in np.ndindex(mistakes.shape):
            value = mistakes[true, guess]
            if true == guess and len(classes) <= _MOST_CLASSES:
                axes.plot([guess], [true], ".", color=LINE)
            elif abs(value) >= 0.05:
                size = 0.16 + 0.78 * float(abs(value) / largest) ** 0.5
                _plot_square(axes, guess, true, size, OTHER if value > 0 else ACCENT)
                if len(classes) <= _MOST_CLASSES:
                    text = f"{value:+.1f}" if is_difference else f"{value:.1f}".removesuffix(".0")
                    axes.text(guess, true, text, ha="center", va="center", fontsize=6.5, color=INK)
        axes.set_xlim(-0.5, len(classes) - 0.5)
        axes.set_ylim(len(classes) - 0.5, -0.5)
        rotation = 0 if max(map(len, classes)) < 3 else 45
        step = -(-len(classes) // _MOST_CLASSES)
        names = shortened(classes[::step], 14)
        axes.set_xticks(range(0, len(classes), step), names, rotation=rotation, ha="right" if rotation else "center")
        axes.set_yticks(range(0, len(classes), step), names)
        axes.set_xlabel("prediction")
        axes.set_ylabel("true class")
        subject = "Mistakes of A minus mistakes of B" if is_difference else "Mistakes"
        return to_svg(figure, f"{subject}, by true class and prediction, mean over seeds", {})


def thumbnail(image: NDArray[np.uint8]) -> str:
    """An image (channels, height, width) as a data URI: dark on light if it has one channel, else in colour."""
    from matplotlib.image import imsave

    content = io.BytesIO()
    pixels = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    imsave(content, pixels, cmap="gray_r", vmin=0, vmax=255, format="png")
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"


def _label_rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), shortened(names, LONGEST))
    axes.set_ylim(len(names) - 0.4, -0.6)


def _plot_square(axes: "Axes", x: float, y: float, size: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - size / 2, y - size / 2), size, size, facecolor=colour, alpha=0.45, linewidth=0))


def accuracy_text(score: Estimate) -> str:
    """`99.24 % (99.17 to 99.32)`."""
    return f"{score.value:.2f} %" if isnan(score.low) else f"{score.value:.2f} % ({score.low:.2f} to {score.high:.2f})"
