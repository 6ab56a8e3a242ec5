"""The learning curves of the best variants, with bands over seeds."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from archsearch.report.leaderboard import Leaderboard, LeaderboardRow
from archsearch.report.pictures import WIDTH
from archsearch.report.plot_labels import in_lines, variant_labels
from archsearch.report.svg import ACCENT, FOURTH, LINE, OTHER, THIRD, svg_style, to_svg
from archsearch.runs.figures import new_figure

_COLOURS = (ACCENT, OTHER, THIRD, FOURTH)
_STYLES = ("-", "--", "-.", ":")
_START = 0.25  # of the epochs that may lie below the axis, because the first ones would flatten all others


def curves_plot(board: Leaderboard) -> str | None:
    """Accuracy by epoch of the compared pair, else of the best four variants; None without any history of epochs.

    A line is the mean over seeds, its band the range from the lowest to the highest.
    """
    curves = [(row, epochs) for row in _shown(board) if (epochs := _epochs(row))]
    if max((len(epochs) for _, epochs in curves), default=0) < 2:
        return None
    names = variant_labels([row for row, _ in curves])
    with svg_style():
        from matplotlib.ticker import MaxNLocator

        figure = new_figure(WIDTH, 3.1)
        axes = figure.add_subplot()
        lowest: list[float] = []
        highest: list[float] = []
        for (_, epochs), name, colour, style in zip(curves, names.texts, _COLOURS, _STYLES, strict=False):
            x = sorted(epochs)
            means = [float(np.mean(epochs[epoch])) for epoch in x]
            low, high = [min(epochs[epoch]) for epoch in x], [max(epochs[epoch]) for epoch in x]
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(x, means, style, color=colour, linewidth=1.5, label=name)
            lowest += low[ceil(_START * len(x)) :] or low
            highest += high
        bottom, top = min(lowest), max(highest)
        margin = 0.05 * max(top - bottom, 0.01)
        axes.set_ylim(bottom - margin, top + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{board.study.judged_on} accuracy, %")
        axes.grid(color=LINE)
        title = None if names.settings is None else in_lines(names.settings, WIDTH / 2)
        axes.legend(loc="lower right", fontsize=8, frameon=False, title=title, title_fontsize=8)
        return to_svg(figure, f"{board.study.judged_on} accuracy by epoch, with the range over seeds", {})


def _shown(board: Leaderboard) -> Sequence[LeaderboardRow]:
    if board.compared is not None:
        return [row for row in board.rows if row.variant.label in (board.compared.a, board.compared.b)]
    rows = list(board.rows[: len(_COLOURS)])
    if board.is_baseline and all(row.variant is not board.reference for row in rows):
        rows[-1:] = [row for row in board.rows if row.variant is board.reference]
    return rows


def _epochs(row: LeaderboardRow) -> dict[int, list[float]]:
    """The accuracies of a variant's runs, by epoch."""
    accuracies: dict[int, list[float]] = {}
    for run in row.variant.runs.values():
        for epoch, accuracy in run.history():
            accuracies.setdefault(epoch, []).append(accuracy)
    return accuracies
