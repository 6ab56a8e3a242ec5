"""The plots of a search, as inline SVG: its trials, and what it had reached after what it had spent."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archsearch.report.front_picture import plain_cost, set_cost_ticks
from archsearch.report.pictures import WIDTH
from archsearch.report.plot_labels import LONGEST, shortened
from archsearch.report.svg import ACCENT, LINE, MUTED, OTHER, add_tooltip, svg_style, to_svg
from archsearch.runs.figures import new_figure
from archsearch.search.objectives import DIRECTIONS
from archsearch.search.summary import Summary
from archsearch.search.trials import Trial, measured_objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {
    "val/accuracy": "validation accuracy, %", "val/loss": "validation loss", "params": "parameters", "macs": "MACs",
    "epoch_seconds": "seconds per epoch",
}  # fmt: skip
_SPENT = {"trials": "trials begun", "epochs": "epochs trained", "seconds": "seconds of training"}
_MOST_TOOLTIPS = 300


def name_of(objective: str, search: Summary) -> str:
    """An objective as axes call it; what a function returned has only its name."""
    return objective if search.record.evaluated and objective.startswith("val/") else NAMES[objective]


def trials_plot(search: Summary, cost: str) -> str:
    """The measured objective of all trials against `cost`, with those on the front."""
    measured = measured_objective(search.objectives)
    trials = [trial for trial in search.trials.values() if trial.values]
    on_front = {trial.number for trial in search.front}
    groups = (
        (MUTED, 3, 0.5, [trial for trial in trials if not trial.is_trained]),
        (OTHER, 4, 0.7, [trial for trial in trials if trial.is_trained and trial.number not in on_front]),
        (ACCENT, 5, 1.0, sorted(search.front, key=lambda trial: trial.values[cost])),
    )
    with svg_style():
        figure = new_figure(WIDTH, 3.3)
        axes = figure.add_subplot()
        tooltips: dict[str, str] = {}
        for colour, size, alpha, group in groups:
            for trial in group[:_MOST_TOOLTIPS]:
                point = [trial.values[cost]], [trial.values[measured]]
                (marker,) = axes.plot(*point, "o", color=colour, markersize=size, alpha=alpha)
                add_tooltip(marker, f"{trial.number} {trial.name}: {point[1][0]:.6g}, {point[0][0]:,.6g}", tooltips)
            rest = group[_MOST_TOOLTIPS:]
            xs, ys = [trial.values[cost] for trial in rest], [trial.values[measured] for trial in rest]
            axes.plot(xs, ys, "o", color=colour, markersize=size, alpha=alpha)
        front = groups[-1][-1]
        if len(front) > 1 and len(search.objectives) == 2:  # of more objectives, the front is no line
            xs, ys = [trial.values[cost] for trial in front], [trial.values[measured] for trial in front]
            axes.plot(xs, ys, color=ACCENT, linewidth=1, drawstyle="steps-post", zorder=1)
        axes.margins(0.08, 0.1)
        _limit(axes, search, trials, measured)
        set_cost_ticks(axes, [trial.values[cost] for trial in trials])
        axes.set_xlabel(name_of(cost, search))
        axes.set_ylabel(name_of(measured, search))
        axes.grid(color=LINE)
        return to_svg(figure, f"Trials by {measured} and {cost}; the table has the front", tooltips)


def _limit(axes: "Axes", search: Summary, trials: Sequence[Trial], measured: str) -> None:
    """Cut off what lies far below trained trials, such as trials that were stopped at once: it would flatten them."""
    trained = [trial.values[measured] for trial in trials if trial.is_trained]
    if len(trained) < 2 or search.record.evaluated or DIRECTIONS[measured] == "minimize":
        return
    best, worst = max(trained), min(trained)
    axes.set_ylim(max(0.0, worst - max(0.3, best - worst)), best + max(0.05, 0.1 * (best - worst)))


def progress_plot(search: Summary, spent: str) -> str:
    """The best value so far and, below it, the hypervolume, over `spent`: trials, epochs or seconds."""
    from matplotlib.ticker import MaxNLocator

    measured = measured_objective(search.objectives)
    panels = [("best", f"best {name_of(measured, search)}")]
    if len(search.objectives) > 1:
        panels.append(("hypervolume", "hypervolume"))
    with svg_style():
        figure = new_figure(WIDTH, 1.0 + 1.9 * len(panels))
        first = None
        for number, (attribute, label) in enumerate(panels, 1):
            axes = first = figure.add_subplot(len(panels), 1, number, sharex=first)
            points = [(getattr(moment, spent), getattr(moment, attribute)) for moment in search.moments]
            points = [point for point in points if point[1] is not None]
            axes.step(*zip(*points, strict=True), where="post", color=ACCENT)
            axes.plot(*zip(*points, strict=True), "o", color=ACCENT, markersize=3 if len(points) < 50 else 0)
            axes.set_ylabel(label)
            axes.grid(color=LINE)
            axes.tick_params(labelbottom=number == len(panels))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=spent != "seconds"))
        axes.xaxis.set_major_formatter(plain_cost)
        axes.set_xlabel(_SPENT[spent].replace("training", "evaluation" if search.record.evaluated else "training"))
        return to_svg(figure, f"{' and '.join(label for _, label in panels)} so far, over {_SPENT[spent]}", {})


def shares_plot(shares: Mapping[str, float]) -> str:
    """The importance of settings, as bars."""
    with svg_style():
        figure = new_figure(WIDTH, 0.9 + 0.32 * len(shares))
        axes = figure.add_subplot()
        axes.barh(range(len(shares)), [100 * share for share in shares.values()], color=ACCENT, height=0.6)
        axes.set_yticks(range(len(shares)), shortened(list(shares), LONGEST))
        axes.set_ylim(len(shares) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the importance of all settings")
        axes.grid(axis="x", color=LINE)
        return to_svg(figure, "Importance of settings; the table has the numbers", {})
