"""Accuracy by the settings that vary: a heat map for two of them, parallel coordinates for more."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from archsearch.compose.labels import labels
from archsearch.report.leaderboard import Leaderboard
from archsearch.report.pictures import WIDTH
from archsearch.report.plot_labels import cut, shortened
from archsearch.report.svg import ACCENT, INK, LABEL_BOX, LINE, MUTED, add_tooltip, svg_style, to_svg
from archsearch.runs.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CELLS = 20  # values of a setting in the heat map
_MOST_AXES = 6
_MOST_TICKS = 8
_BEST = 5  # variants that are drawn in colour
_CHARACTER = 5.5  # points of width, in a wide font
_STRONGEST = 0.6  # opacity of the best cell, which leaves its number legible


def settings_plot(board: Leaderboard) -> str | None:
    """The plot that suits the number of settings; None for fewer than two."""
    study = board.study
    factors = [name for name in study.factors if len(study.values.get(name, ())) > 1]
    if len(factors) < 2 or len(board.rows) < 3:
        return None
    if len(factors) == 2 and max(len(study.values[name]) for name in factors) <= _MOST_CELLS:
        return _heat_map(board, factors)
    return _parallel_coordinates(board, factors[:_MOST_AXES])


def _heat_map(board: Leaderboard, factors: Sequence[str]) -> str:
    """The mean accuracy of each combination; the setting with more values is the horizontal axis."""
    study = board.study
    down, across = sorted(factors, key=lambda name: len(study.values[name]))
    columns, rows = study.values[across], study.values[down]
    scores = [row.score.value for row in board.rows]
    low, high = min(scores), max(scores)
    with svg_style():
        figure = new_figure(WIDTH, 1.0 + 0.42 * len(rows))
        axes = figure.add_subplot()
        tooltips: dict[str, str] = {}
        digits = 2 if len(columns) <= 8 else 1
        for row in board.rows:
            x, y = columns.index(row.variant.values[across]), rows.index(row.variant.values[down])
            share = (row.score.value - low) / (high - low) if high > low else 1.0
            patch = _cell(axes, x, y, 0.06 + (_STRONGEST - 0.06) * share)
            add_tooltip(patch, f"{row.variant.label}: {row.score.value:.2f} %", tooltips)
            if len(columns) <= 12:
                axes.text(x, y, f"{row.score.value:.{digits}f}", ha="center", va="center", fontsize=8, color=INK)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        column_names = shortened(columns, 16)
        longest = max(map(len, column_names))
        turned = longest * len(columns) > 48
        axes.set_xticks(range(len(columns)), column_names,
                        rotation=45 if turned else 0, ha="right" if turned else "center")  # fmt: skip
        axes.set_yticks(range(len(rows)), shortened(rows, 16))
        across_name, down_name = labels([across, down])
        axes.set_xlabel(cut(across_name))
        axes.set_ylabel(cut(down_name))
        return to_svg(figure, f"{study.judged_on} accuracy by {across_name} and {down_name}", tooltips)


def _cell(axes: "Axes", x: int, y: int, opacity: float) -> "object":
    from matplotlib.patches import Rectangle

    return axes.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=ACCENT, alpha=opacity, linewidth=0))


def _parallel_coordinates(board: Leaderboard, factors: Sequence[str]) -> str:
    """One line per variant through its values and its accuracy; the best ones in colour."""
    from matplotlib.collections import LineCollection

    study = board.study
    scores = np.array([row.score.value for row in board.rows])
    low, high = float(scores.min()), float(scores.max())
    heights = (scores - low) / (high - low) if high > low else np.ones(len(scores))
    positions = {
        name: {value: rank / max(1, len(study.values[name]) - 1) for rank, value in enumerate(study.values[name])}
        for name in factors
    }
    lines = [
        [*((axis, positions[name][row.variant.values[name]]) for axis, name in enumerate(factors)),
         (len(factors), float(height))]
        for row, height in zip(board.rows, heights, strict=True)
    ]  # fmt: skip
    with svg_style():
        figure = new_figure(WIDTH, 3.1)
        axes = figure.add_subplot()
        alpha = min(0.7, max(0.08, 20 / len(lines)))
        axes.add_collection(LineCollection(lines[_BEST:], colors=MUTED, linewidths=0.8, alpha=alpha))
        axes.add_collection(LineCollection(lines[:_BEST], colors=ACCENT, linewidths=1.6))
        for axis, name in enumerate(factors):
            axes.axvline(axis, color=LINE, linewidth=1)
            _write_values(axes, axis, study.values[name])
        axes.axvline(len(factors), color=LINE, linewidth=1)
        for height, value in ((0.0, low), (1.0, high)):
            axes.annotate(f"{value:.2f} %", (len(factors), height), (4, 0), textcoords="offset points",
                          fontsize=8, va="center", color=INK)  # fmt: skip
        axes.set_xlim(-0.1, len(factors) + 0.45)
        axes.set_ylim(-0.06, 1.06)
        axes.set_xticks(range(len(factors) + 1), _axis_names([*labels(factors), study.judged_on]))
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        title = f"Settings and {study.judged_on} accuracy of each variant; the best {_BEST} in colour"
        return to_svg(figure, title, {})


def _axis_names(names: Sequence[str]) -> list[str]:
    """The names below the axes; in two rows if they would overlap in one."""
    fitting = int(WIDTH * 72 / (len(names) + 0.5) / _CHARACTER)
    if max(map(len, names)) < fitting:
        return list(names)
    return [f"\n{name}" if index % 2 else name for index, name in enumerate(shortened(names, 2 * fitting - 2))]


def _write_values(axes: "Axes", axis: int, values: Sequence[str]) -> None:
    """The values beside an axis: all of them, or the first and last of many."""
    texts = shortened(values, 10)
    ranks = range(len(values)) if len(values) <= _MOST_TICKS else (0, len(values) - 1)
    for rank in ranks:
        height = rank / max(1, len(values) - 1)
        axes.annotate(
            texts[rank], (axis, height), (4, 1), textcoords="offset points", fontsize=8, color=INK,
            bbox=LABEL_BOX, va="bottom" if rank == 0 else "center",
        )  # fmt: skip
