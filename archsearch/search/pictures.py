"""The figure of a search: its trials by size and accuracy, and the best accuracy over what was spent."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.compose.labels import labels
from archsearch.runs.figures import new_figure, save_figure
from archsearch.runs.formatting import count
from archsearch.search.summary import Summary
from archsearch.search.trials import Moment, Trial, measured_objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEARCH = "search.png"
_FRONT, _TRAINED, _STOPPED = "#c8553d", "#5b7a9d", "#b9c4cf"
_LOG_RATIO = 5  # of the largest network to the smallest, from which the axis is logarithmic
_NAMES = {"val/accuracy": "validation accuracy", "val/loss": "validation loss"}


def draw_search(search: Summary) -> list[Path]:
    """Draw the trials of a search into its folder; returns the paths of the figures."""
    points, record = [trial for trial in search.trials.values() if trial.values], search.record
    if not points:
        return []
    name = measured_objective(search.objectives)
    label, unit = (name, "") if record.evaluated else (_NAMES[name], ", %" if name == "val/accuracy" else "")
    figure = new_figure(11, 4.5)
    sizes, progress = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    _draw_sizes(sizes, points, search, name)
    sizes.set_ylabel(f"{label}{unit}")
    _draw_progress(progress, search.moments, in_trials=record.evaluated)
    progress.set_ylabel(f"best {label} so far{unit}")
    path = search.folder / SEARCH
    varying = ", ".join(labels([key for key in record.keys if key != "change"])) or "architectures"
    save_figure(figure, path, f"search of {varying}: {count(len(points), 'trial')}")
    return [path]


def _draw_sizes(axes: "Axes", points: Sequence[Trial], search: Summary, name: str) -> None:
    """The objective `name` of all trials by parameters; the front is a line if it is one of these two."""
    from matplotlib.ticker import LogLocator

    is_line = set(search.objectives) <= {name, "params"}
    groups = (
        (_STOPPED, "stopped early", [point for point in points if not point.is_trained]),
        (
            _TRAINED,
            "evaluated" if search.record.evaluated else "trained",
            [point for point in points if point.is_trained],
        ),
        (_FRONT, "front", sorted(search.front, key=lambda trial: trial.values["params"])),
    )
    for colour, group_name, group in groups:
        style = "o-" if group_name == "front" and is_line else "o"
        if group:
            sizes, values = [point.values["params"] for point in group], [point.values[name] for point in group]
            axes.plot(sizes, values, style, color=colour, markersize=4, linewidth=1, label=group_name)
    trained = [point.values[name] for point in points if point.is_trained]
    # Stopped trials far below would leave the others no room.
    if trained and name == "val/accuracy" and not search.record.evaluated:
        best, worst = max(trained), min(trained)
        axes.set_ylim(max(0.0, worst - max(0.5, best - worst)), best + max(0.05, 0.1 * (best - worst)))
    parameters = [point.values["params"] for point in points]
    if min(parameters) > 0 and max(parameters) >= _LOG_RATIO * min(parameters):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
        axes.xaxis.set_minor_formatter("{x:,.0f}")
        axes.tick_params(axis="x", which="minor", labelsize=8)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("parameters")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def _draw_progress(axes: "Axes", moments: Sequence[Moment], *, in_trials: bool) -> None:
    """The best value of a fully trained trial so far, in the order in which trials ended."""
    xs = [moment.trials if in_trials else moment.epochs for moment in moments]
    axes.step(xs, [moment.best for moment in moments], "o-", where="post", color=_FRONT, markersize=3)
    axes.set_xlabel("trials" if in_trials else "epochs trained in all trials")
    axes.grid(alpha=0.25)
