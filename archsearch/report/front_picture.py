"""The plot of accuracy against cost, with labels that neither overlap nor cover points."""

from collections.abc import Sequence
from math import floor, isnan, log10
from typing import TYPE_CHECKING, Any

from archsearch.report.leaderboard import Leaderboard
from archsearch.report.options import Cost
from archsearch.report.pareto import COSTS, REFERENCE, REFERENCE_ACCURACY, Point
from archsearch.report.pictures import WIDTH, accuracy_text
from archsearch.report.plot_labels import in_lines, variant_labels
from archsearch.report.statistics import Estimate
from archsearch.report.svg import ACCENT, INK, LABEL_BOX, LINE, MUTED, OTHER, add_tooltip, svg_style, to_svg
from archsearch.report.tables import has_reference
from archsearch.runs.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

_MOST_NAMES = 12  # points of the front whose labels are tried
_MOST_TOOLTIPS = 60
_MOST_TICKS = 5
_MARK = 8.0  # points that a marker takes
_LOG_RATIO = 8  # of the largest cost to the smallest, from which the axis is logarithmic
# Offsets of a label in points, with its alignments: below right, above left, below left, above right.
_PLACES = [(6, -4, "left", "top"), (-6, 4, "right", "bottom"), (-6, -4, "right", "top"), (6, 4, "left", "bottom")]


def pareto_plot(points: Sequence[Point], board: Leaderboard, cost: Cost) -> str:
    """Accuracy against cost with the Pareto front as a line; below it the same for the test set, with the reference."""
    study = board.study
    panels = ["selecting"] if study.on_test or all(point.test is None for point in points) else ["selecting", "test"]
    labels_of_points = variant_labels(points)
    names = dict(zip([point.number for point in points], labels_of_points.texts, strict=True))
    with svg_style():
        figure = new_figure(WIDTH, 3.1 * len(panels))
        tooltips: dict[str, str] = {}
        labels: list[Annotation] = []
        for number, panel in enumerate(panels, 1):
            axes = figure.add_subplot(len(panels), 1, number)
            measured = [
                (point, score) for point in points if (score := point.score if panel == "selecting" else point.test)
            ]
            _plot_points(axes, measured, tooltips, is_front_drawn=panel == "selecting")
            axes.margins(0.08, 0.12)
            costs = [point.cost for point in points]
            if (panel != "selecting" or study.on_test) and has_reference(study, cost):
                _plot_reference(axes, cost, tooltips)
                costs.append(REFERENCE[cost])
                labels.append(_label(axes, costs[-1], REFERENCE_ACCURACY, "reference"))
            front = [(point, score) for point, score in measured if point.on_front]
            # The ends of the front are the most informative.
            for point, score in [*front[-1:], *front[:-1]][:_MOST_NAMES]:
                labels.append(_label(axes, point.cost, score.value, names[point.number]))
            set_cost_ticks(axes, costs)
            axes.set_ylabel(f"{study.judged_on if panel == 'selecting' else 'test'} accuracy, %")
            axes.grid(color=LINE)
        axes.set_xlabel(COSTS[cost])
        if labels_of_points.settings is not None:
            settings = in_lines(labels_of_points.settings, WIDTH - 0.8)
            figure.axes[0].set_title(settings, fontsize=8, loc="left", color=MUTED)
        _place(figure, labels)
        title = f"Accuracy against {COSTS[cost]}, with 95 % intervals; the table has the numbers"
        return to_svg(figure, title, tooltips)


def cost_ticks(low: float, high: float) -> list[float]:
    """At most five round numbers in `low` to `high`, for a logarithmic axis: as many as fit of 1, 2, 5 and 1, 3."""
    decades = range(floor(log10(low)), floor(log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits if low <= digit * 10.0**decade <= high]
        if len(ticks) <= _MOST_TICKS:
            return ticks
    return ticks[:: -(-len(ticks) // _MOST_TICKS)]


def plain_cost(value: float, _position: object = None) -> str:
    """A cost without exponents: `0.5`, `12,954`, `250k`, `2.6M`, `1G`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(value) >= limit:
            size = 1e3 if unit == "k" else limit
            return f"{value / size:.4g}{unit}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def set_cost_ticks(axes: "Axes", costs: Sequence[float]) -> None:
    """Round numbers on the axis of a cost, which is logarithmic if the costs span decades."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    if min(costs) > 0 and max(costs) / min(costs) >= _LOG_RATIO:
        axes.set_xscale("log")
        axes.autoscale_view()
        axes.xaxis.set_major_locator(FixedLocator(cost_ticks(*axes.get_xlim())))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())  # the default one prints LaTeX
    else:
        axes.xaxis.set_major_locator(MaxNLocator(_MOST_TICKS - 1))
    axes.xaxis.set_major_formatter(FuncFormatter(plain_cost))


def _plot_points(
    axes: "Axes", measured: Sequence[tuple[Point, Estimate]], tooltips: dict[str, str], is_front_drawn: bool
) -> None:
    for on_front, colour, size, alpha in ((False, OTHER, 4, 0.55), (True, ACCENT, 5, 1.0)):
        group = [(point, score) for point, score in measured if point.on_front == on_front]
        intervals = [(point.cost, score.low, score.high) for point, score in group if not isnan(score.low)]
        if intervals:
            axes.vlines(*zip(*intervals, strict=True), color=colour, linewidth=1.2, alpha=alpha)
        for point, score in group[:_MOST_TOOLTIPS]:
            (marker,) = axes.plot([point.cost], [score.value], "o", color=colour, markersize=size, alpha=alpha)
            add_tooltip(marker, f"{point.variant.label}: {accuracy_text(score)}, {point.cost:,.4g}", tooltips)
        others = group[_MOST_TOOLTIPS:]
        axes.plot([point.cost for point, _ in others], [score.value for _, score in others], "o", color=colour,
                  markersize=size, alpha=alpha)  # fmt: skip
        if on_front and len(group) > 1 and is_front_drawn:
            line = [point.cost for point, _ in group], [score.value for _, score in group]
            axes.plot(*line, color=ACCENT, linewidth=1, drawstyle="steps-post", zorder=1)


def _plot_reference(axes: "Axes", cost: Cost, tooltips: dict[str, str]) -> None:
    (marker,) = axes.plot([REFERENCE[cost]], [REFERENCE_ACCURACY], "*", color=INK, markersize=11)
    add_tooltip(marker, f"best epoch of the reference on the test set: {REFERENCE_ACCURACY} %", tooltips)


def _label(axes: "Axes", x: float, y: float, text: str) -> "Annotation":
    return axes.annotate(text, (x, y), (6, -4), textcoords="offset points", fontsize=8, color=INK, bbox=LABEL_BOX)


def _place(figure: "Figure", labels: Sequence["Annotation"]) -> None:
    """Move each label to a place where it covers no point and no other label; remove it if there is none."""
    from matplotlib.transforms import Bbox

    for label in labels:
        label.set_in_layout(False)
    figure.draw_without_rendering()  # the layout is known from here on
    figure.set_layout_engine("none")
    taken: dict[Any, list[Bbox]] = {}
    for panel in figure.axes:
        marks = [panel.transData.transform(line.get_xydata()) for line in panel.lines if line.get_marker() != "None"]
        taken[panel] = [Bbox([xy - _MARK / 2, xy + _MARK / 2]) for positions in marks for xy in positions]
    frames: dict[Any, Bbox] = {axes: axes.bbox for axes in figure.axes}
    for label in labels:
        axes: Any = label.axes
        point = axes.transData.transform(label.xy)
        others = [box for box in taken[axes] if not (box.width == _MARK and box.contains(*point))]
        for dx, dy, horizontal, vertical in _PLACES:
            label.xyann = (dx, dy)
            label.set(ha=horizontal, va=vertical)
            box = label.get_window_extent()
            # A browser's font may be wider than the one that is measured here.
            box = Bbox.from_extents(box.x0 - 0.1 * box.width, box.y0 - 1, box.x1 + 0.1 * box.width, box.y1 + 1)
            frame = frames[axes]
            fits = box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1
            if fits and not any(box.overlaps(other) for other in others):
                taken[axes].append(box)
                break
        else:
            label.remove()
