"""The figure of a search: its trials by size and accuracy, and the best accuracy over the epochs that were spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.compose.labels import labels
from archsearch.runs.figures import new_figure, save_figure
from archsearch.runs.formatting import count
from archsearch.runs.result import read_result
from archsearch.sweep.record import SweepRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEARCH = "search.png"
_FRONT, _TRAINED, _STOPPED = "#c8553d", "#5b7a9d", "#b9c4cf"


@dataclass(frozen=True)
class _Point:
    """A trial in the figure; accuracy in percent after its last epoch."""

    number: int
    params: int
    accuracy: float
    epochs: int
    is_trained: bool
    started: str


def draw_search(folder: Path, record: SweepRecord, front: Sequence[int]) -> list[Path]:
    """Draw the trials of the search in `folder`; returns the paths of the figures. `front` are the best trials."""
    points = [point for entry in record.entries if (point := _point(entry.number, folder / entry.folder)) is not None]
    if not points:
        return []
    figure = new_figure(11, 4.5)
    _draw_sizes(figure.add_subplot(1, 2, 1), points, front)
    _draw_progress(figure.add_subplot(1, 2, 2), points)
    path = folder / SEARCH
    varying = ", ".join(labels([key for key in record.keys if key != "change"])) or "architectures"
    save_figure(figure, path, f"search of {varying}: {count(len(points), 'trial')}")
    return [path]


def _point(number: int, folder: Path) -> _Point | None:
    result = read_result(folder)
    if result is None or not result["final"]:
        return None
    accuracy, trained = result["final"]["val/accuracy"], result["state"] == "FINISHED"
    return _Point(number, result["params"], accuracy, result["epochs_trained"], trained, result["started"])


def _draw_sizes(axes: "Axes", points: Sequence[_Point], front: Sequence[int]) -> None:
    groups = (
        (_STOPPED, "stopped early", [point for point in points if not point.is_trained]),
        (_TRAINED, "trained", [point for point in points if point.is_trained]),
        (_FRONT, "front", sorted((p for p in points if p.number in set(front)), key=lambda point: point.params)),
    )
    for colour, name, group in groups:
        style = "o-" if name == "front" else "o"
        if group:
            sizes, accuracies = [point.params for point in group], [point.accuracy for point in group]
            axes.plot(sizes, accuracies, style, color=colour, markersize=4, linewidth=1, label=name)
    trained = [point.accuracy for point in points if point.is_trained]
    if trained:  # stopped trials far below would leave the others no room
        best, worst = max(trained), min(trained)
        axes.set_ylim(worst - max(0.5, best - worst), best + max(0.05, 0.1 * (best - worst)))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("{x:,.0f}")
    axes.tick_params(axis="x", which="minor", labelsize=8)
    axes.set_xlabel("parameters")
    axes.set_ylabel("validation accuracy, %")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def _draw_progress(axes: "Axes", points: Sequence[_Point]) -> None:
    """The best accuracy of a fully trained trial so far, in the order in which trials began."""
    spent, best = 0, float("nan")
    xs, ys = [0], [best]
    for point in points:
        spent += point.epochs
        if point.is_trained and not point.accuracy <= best:
            best = point.accuracy
        xs.append(spent)
        ys.append(best)
    axes.step(xs, ys, where="post", color=_FRONT)
    axes.set_xlabel("epochs trained in all trials")
    axes.set_ylabel("best validation accuracy so far, %")
    axes.grid(alpha=0.25)
