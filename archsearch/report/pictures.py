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
from archsearch.report.options import Cost
from archsearch.report.pareto import COSTS, REFERENCE, REFERENCE_ACCURACY, Point
from archsearch.report.prediction_diff import PredictionDiff
from archsearch.report.statistics import Estimate
from archsearch.report.svg import ACCENT, INK, LINE, MUTED, OTHER, add_tooltip, printable, svg_style, to_svg
from archsearch.report.tables import has_reference
from archsearch.runs.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 25
_WIDTH = 4.8  # inches of 72 pixels: the width of a phone
_MOST_NAMES = 8  # annotated points
_MOST_TOOLTIPS = 60


def ranking_plot(board: Leaderboard) -> str:
    """One row per variant, best first: its runs as dots, its mean as a diamond with its interval."""
    rows = board.rows[:MOST_ROWS]
    with svg_style():
        figure = new_figure(_WIDTH, 0.9 + 0.3 * len(rows))
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
            add_tooltip(marker, f"{row.variant.label}: {_accuracy(row.score)}", tooltips)
        _label_rows(axes, [row.variant.label for row in rows])
        axes.set_xlabel(f"{board.study.judged_on} accuracy, %")
        axes.grid(axis="x", color=LINE)
        title = f"Variants by {board.study.judged_on} accuracy with 95 % intervals; the table above has the numbers"
        return to_svg(figure, title, tooltips)


def pareto_plot(points: Sequence[Point], board: Leaderboard, cost: Cost) -> str:
    """Accuracy against cost with the Pareto front as a line; below it the same for the test set, with the reference."""
    study = board.study
    from matplotlib.ticker import LogLocator, MaxNLocator

    panels = ["selecting"] if study.on_test or all(point.test is None for point in points) else ["selecting", "test"]
    with svg_style():
        figure = new_figure(_WIDTH, 3.1 * len(panels))
        tooltips: dict[str, str] = {}
        for number, panel in enumerate(panels, 1):
            axes = figure.add_subplot(len(panels), 1, number)
            _plot_points(axes, points, panel, tooltips)
            if panel != "selecting" or study.on_test:
                _plot_reference(axes, board, cost, tooltips)
            axes.set_ylabel(f"{study.judged_on if panel == 'selecting' else 'test'} accuracy, %")
            costs = [point.cost for point in points]
            if min(costs) > 0 and max(costs) / min(costs) > 8:
                axes.set_xscale("log")
            axes.grid(color=LINE)
            if cost != "epoch_seconds":
                axes.xaxis.set_major_formatter("{x:,.0f}")
                axes.xaxis.set_major_locator(MaxNLocator(5) if axes.get_xscale() == "linear" else LogLocator())
        axes.set_xlabel(COSTS[cost])
        title = f"Accuracy against {COSTS[cost]}, with 95 % intervals; the table has the numbers"
        return to_svg(figure, title, tooltips)


def _plot_points(axes: "Axes", points: Sequence[Point], panel: str, tooltips: dict[str, str]) -> None:
    measured = [(point, score) for point in points if (score := point.score if panel == "selecting" else point.test)]
    middle = (points[0].cost + points[-1].cost) / 2
    for on_front, colour, size, alpha in ((False, OTHER, 4, 0.55), (True, ACCENT, 5, 1.0)):
        group = [(point, score) for point, score in measured if point.on_front == on_front]
        _plot_intervals(axes, [(point.cost, score) for point, score in group], colour, alpha)
        for point, score in group[:_MOST_TOOLTIPS]:
            (marker,) = axes.plot([point.cost], [score.value], "o", color=colour, markersize=size, alpha=alpha)
            add_tooltip(marker, f"{point.variant.label}: {_accuracy(score)}, {point.cost:,.4g}", tooltips)
        rest = group[_MOST_TOOLTIPS:]
        axes.plot([point.cost for point, _ in rest], [score.value for _, score in rest], "o", color=colour,
                  markersize=size, alpha=alpha)  # fmt: skip
        if on_front and len(group) <= _MOST_NAMES:
            for point, score in group:
                is_right = point.cost > middle
                axes.annotate(
                    _short(point.variant.label), (point.cost, score.value), (-6 if is_right else 6, -11),
                    textcoords="offset points", fontsize=8, color=INK, ha="right" if is_right else "left",
                )  # fmt: skip
        if on_front and len(group) > 1 and panel == "selecting":
            line = [point.cost for point, _ in group], [score.value for _, score in group]
            axes.plot(*line, color=ACCENT, linewidth=1, drawstyle="steps-post", zorder=1)


def _plot_intervals(axes: "Axes", points: Sequence[tuple[float, Estimate]], colour: str, alpha: float) -> None:
    intervals = [(x, score.low, score.high) for x, score in points if not isnan(score.low)]
    if intervals:
        axes.vlines(*zip(*intervals, strict=True), color=colour, linewidth=1.2, alpha=alpha)


def _plot_reference(axes: "Axes", board: Leaderboard, cost: Cost, tooltips: dict[str, str]) -> None:
    if not has_reference(board.study, cost):
        return
    position = (REFERENCE[cost], REFERENCE_ACCURACY)
    (marker,) = axes.plot([position[0]], [position[1]], "*", color=INK, markersize=11)
    axes.annotate("reference", position, (0, 8), textcoords="offset points", fontsize=8, color=INK, ha="center")
    add_tooltip(marker, f"best epoch of the reference on the test set: {REFERENCE_ACCURACY} %", tooltips)


def effect_plot(effect: Effect) -> str:
    """The effects of a setting's values relative to the reference value, with 95 % intervals."""
    with svg_style():
        figure = new_figure(_WIDTH, 0.95 + 0.3 * len(effect.levels))
        axes = figure.add_subplot()
        axes.axvline(0, color=MUTED, linewidth=1)
        tooltips: dict[str, str] = {}
        for y, level in enumerate(effect.levels):
            difference = level.effect
            value = difference.value if difference is not None else 0.0
            if difference is not None and not isnan(difference.low):
                axes.plot([difference.low, difference.high], [y, y], color=ACCENT, linewidth=2)
            (marker,) = axes.plot([value], [y], "o", color=ACCENT, markersize=6)
            add_tooltip(marker, f"{level.value}: {value:+.2f} points, mean {level.mean:.2f} %", tooltips)
        _label_rows(axes, [level.value for level in effect.levels])
        (name,) = labels([effect.factor])
        axes.set_ylabel(_short(name, 18))
        axes.set_xlabel(f"points relative to {effect.reference}")
        axes.grid(axis="x", color=LINE)
        return to_svg(figure, f"Effect of {name} with 95 % intervals; the table has the numbers", tooltips)


def importance_plot(ablation: Ablation) -> str:
    """The importance of settings, as bars."""
    with svg_style():
        figure = new_figure(_WIDTH, 0.9 + 0.32 * len(ablation.importances))
        axes = figure.add_subplot()
        for y, importance in enumerate(ablation.importances):
            axes.barh([y], [importance.percent], xerr=[importance.sd], color=ACCENT, ecolor=INK, height=0.6)
        _label_rows(axes, labels([importance.factor for importance in ablation.importances]))
        axes.set_xlabel("% of the variance lost when the setting is shuffled")
        axes.grid(axis="x", color=LINE)
        return to_svg(figure, "Importance of settings; the table has the numbers", {})


def confusion_plot(predictions: PredictionDiff, classes: Sequence[str]) -> str:
    """The difference of two confusion matrices, A minus B, as squares; the diagonal is left out."""
    with svg_style():
        figure = new_figure(_WIDTH, 0.5 * len(classes) + 0.9)
        axes = figure.add_subplot()
        mistakes = np.where(np.eye(len(classes), dtype=bool), 0.0, predictions.confusion)
        largest = max(1.0, float(np.abs(mistakes).max()))
        for true, guess in np.ndindex(mistakes.shape):
            value = mistakes[true, guess]
            if true == guess:
                axes.plot([guess], [true], ".", color=LINE)
            elif abs(value) >= 0.05:
                size = 0.16 + 0.78 * float(abs(value) / largest) ** 0.5
                _plot_square(axes, guess, true, size, OTHER if value > 0 else ACCENT)
                axes.text(guess, true, f"{value:+.1f}", ha="center", va="center", fontsize=6.5, color=INK)
        axes.set_xlim(-0.5, len(classes) - 0.5)
        axes.set_ylim(len(classes) - 0.5, -0.5)
        rotation = 0 if max(map(len, classes)) < 3 else 45
        axes.set_xticks(range(len(classes)), classes, rotation=rotation, ha="right" if rotation else "center")
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlabel("prediction")
        axes.set_ylabel("true class")
        return to_svg(figure, "Mistakes of A minus mistakes of B, by true class and prediction, mean over seeds", {})


def thumbnail(image: NDArray[np.uint8]) -> str:
    """An image (height, width), dark on light, as a data URI."""
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, image, cmap="gray_r", vmin=0, vmax=255, format="png")
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"


def _label_rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def _plot_square(axes: "Axes", x: float, y: float, size: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - size / 2, y - size / 2), size, size, facecolor=colour, alpha=0.45, linewidth=0))


def _accuracy(score: Estimate) -> str:
    return f"{score.value:.2f} %" if isnan(score.low) else f"{score.value:.2f} % ({score.low:.2f} to {score.high:.2f})"


def _short(name: str, most: int = 28) -> str:
    name = printable(name)
    return name if len(name) <= most else f"{name[: most - 3]}..."
