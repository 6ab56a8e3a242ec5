"""The plots of a report, as SVG that takes its colours and fonts from the page it stands in."""

import io
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from math import isnan
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from archsearch.compose.labels import labels
from archsearch.report.ablation import Ablation, Effect
from archsearch.report.leaderboard import Leaderboard
from archsearch.report.options import Cost
from archsearch.report.pareto import COSTS, REFERENCE, REFERENCE_ACCURACY, Point
from archsearch.report.prediction_diff import PredictionDiff
from archsearch.report.statistics import Estimate
from archsearch.report.tables import has_reference
from archsearch.runs.figures import new_figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins, which become the page's own colours: light or dark, as the reader has it.
_INK, _MUTED, _LINE, _ACCENT, _OTHER = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
_VARIABLES = {_INK: "ink", _MUTED: "muted", _LINE: "line", _ACCENT: "accent", _OTHER: "other"}
_WIDTH = 4.8  # inches, of 72 pixels: as wide as a phone
MOST_ROWS = 25
_MOST_NAMES = 8  # beside points
_MOST_TIPS = 60  # at points
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"


def ranking(board: Leaderboard) -> str:
    """A row a variant, the best on top: its runs as dots, its mean with its interval; the accent is for leaders."""
    rows = board.rows[:MOST_ROWS]
    with _style():
        figure = new_figure(_WIDTH, 0.9 + 0.3 * len(rows))
        axes = figure.add_subplot()
        tips = {}
        for at, row in enumerate(rows):
            scores = list(row.variant.scores().values())
            colour = _ACCENT if row.place == 1 else _OTHER
            if not isnan(row.score.low):
                axes.plot([row.score.low, row.score.high], [at, at], color=colour, linewidth=2, zorder=2)
            if len(scores) > 1:
                axes.plot(scores, [at] * len(scores), "o", color=_MUTED, markersize=3.5, alpha=0.7, zorder=3)
            (mark,) = axes.plot([row.score.value], [at], "D", color=colour, markersize=6, zorder=4)
            tips[_tip(mark, at)] = f"{row.variant.label}: {_said(row.score.value, row.score.low, row.score.high)}"
        _rows(axes, [row.variant.label for row in rows])
        axes.set_xlabel(f"{board.study.judged_on} accuracy, %")
        axes.grid(axis="x", color=_LINE)
        what = f"Variants by {board.study.judged_on} accuracy with 95 % intervals; the table above has the numbers"
        return _svg(figure, what, tips)


def front(points: Sequence[Point], board: Leaderboard, cost: Cost) -> str:
    """Accuracy against cost, the front as a line; below it the test set, with the reference's point where it fits."""
    study = board.study
    from matplotlib.ticker import LogLocator, MaxNLocator

    panels = ["selecting"] if study.on_test or all(point.test is None for point in points) else ["selecting", "test"]
    with _style():
        figure = new_figure(_WIDTH, 3.1 * len(panels))
        tips: dict[str, str] = {}
        for number, panel in enumerate(panels):
            axes = figure.add_subplot(len(panels), 1, number + 1)
            _points(axes, points, panel, tips)
            if panel != "selecting" or study.on_test:
                _reference(axes, board, cost, tips)
            axes.set_ylabel(f"{study.judged_on if panel == 'selecting' else 'test'} accuracy, %")
            spread = [point.cost for point in points]
            if min(spread) > 0 and max(spread) / min(spread) > 8:
                axes.set_xscale("log")
            axes.grid(color=_LINE)
            if cost != "epoch_seconds":
                axes.xaxis.set_major_formatter("{x:,.0f}")
                axes.xaxis.set_major_locator(MaxNLocator(5) if axes.get_xscale() == "linear" else LogLocator())
        axes.set_xlabel(COSTS[cost])
        what = f"Accuracy against {COSTS[cost]}, with 95 % intervals; the table has the numbers"
        return _svg(figure, what, tips)


def _points(axes: "Axes", points: Sequence[Point], panel: str, tips: dict[str, str]) -> None:
    shown = [(point, score) for point in points if (score := point.score if panel == "selecting" else point.test)]
    middle = (points[0].cost + points[-1].cost) / 2
    for on_front, colour, size, alpha in ((False, _OTHER, 4, 0.55), (True, _ACCENT, 5, 1.0)):
        drawn = [each for each in shown if each[0].on_front == on_front]
        _bars(axes, [(point.cost, score) for point, score in drawn], colour, alpha)
        for point, score in drawn[:_MOST_TIPS]:
            (mark,) = axes.plot([point.cost], [score.value], "o", color=colour, markersize=size, alpha=alpha)
            said = _said(score.value, score.low, score.high)
            tips[_tip(mark, len(tips))] = f"{point.variant.label}: {said}, {point.cost:,.4g}"
        rest = drawn[_MOST_TIPS:]
        axes.plot([point.cost for point, _ in rest], [score.value for _, score in rest], "o", color=colour,
                  markersize=size, alpha=alpha)  # fmt: skip
        if on_front and len(drawn) <= _MOST_NAMES:
            for point, score in drawn:
                left = point.cost > middle
                axes.annotate(
                    _short(point.variant.label), (point.cost, score.value), (-6 if left else 6, -11),
                    textcoords="offset points", fontsize=8, color=_INK, ha="right" if left else "left",
                )  # fmt: skip
        if on_front and len(drawn) > 1 and panel == "selecting":
            line = [point.cost for point, _ in drawn], [score.value for _, score in drawn]
            axes.plot(*line, color=_ACCENT, linewidth=1, drawstyle="steps-post", zorder=1)


def _bars(axes: "Axes", points: Sequence[tuple[float, Estimate]], colour: str, alpha: float) -> None:
    known = [(x, score.low, score.high) for x, score in points if not isnan(score.low)]
    if known:
        axes.vlines(*zip(*known, strict=True), color=colour, linewidth=1.2, alpha=alpha)


def _reference(axes: "Axes", board: Leaderboard, cost: Cost, tips: dict[str, str]) -> None:
    if not has_reference(board.study, cost):
        return
    (mark,) = axes.plot([REFERENCE[cost]], [REFERENCE_ACCURACY], "*", color=_INK, markersize=11)
    axes.annotate(
        "reference",
        (REFERENCE[cost], REFERENCE_ACCURACY),
        (0, 8),
        textcoords="offset points",
        fontsize=8,
        color=_INK,
        ha="center",
    )
    tips[_tip(mark, len(tips))] = f"the reference's best epoch on the test set: {REFERENCE_ACCURACY} %"


def effect(found: Effect) -> str:
    """What a setting's values do, against the reference value, with 95 % intervals."""
    with _style():
        figure = new_figure(_WIDTH, 0.95 + 0.3 * len(found.levels))
        axes = figure.add_subplot()
        axes.axvline(0, color=_MUTED, linewidth=1)
        tips = {}
        for at, level in enumerate(found.levels):
            change = level.effect
            value = change.value if change is not None else 0.0
            if change is not None and not isnan(change.low):
                axes.plot([change.low, change.high], [at, at], color=_ACCENT, linewidth=2)
            (mark,) = axes.plot([value], [at], "o", color=_ACCENT, markersize=6)
            tips[_tip(mark, at)] = f"{level.value}: {value:+.2f} points, mean {level.mean:.2f} %"
        _rows(axes, [level.value for level in found.levels])
        (name,) = labels([found.factor])
        axes.set_ylabel(_short(name, 18))
        axes.set_xlabel(f"points against {found.reference}")
        axes.grid(axis="x", color=_LINE)
        return _svg(figure, f"Effect of {name} with 95 % intervals; the table has the numbers", tips)


def importance(found: Ablation) -> str:
    """Which settings matter, as bars."""
    with _style():
        figure = new_figure(_WIDTH, 0.9 + 0.32 * len(found.importances))
        axes = figure.add_subplot()
        for at, each in enumerate(found.importances):
            axes.barh([at], [each.percent], xerr=[each.sd], color=_ACCENT, ecolor=_INK, height=0.6)
        _rows(axes, labels([each.factor for each in found.importances]))
        axes.set_xlabel("% of the variance lost when the setting is shuffled")
        axes.grid(axis="x", color=_LINE)
        return _svg(figure, "Importance of settings; the table has the numbers", {})


def confusion(found: PredictionDiff, classes: Sequence[str]) -> str:
    """How many more images of a class (row) A takes for another (column) than B does; the diagonal is left out."""
    with _style():
        figure = new_figure(_WIDTH, 0.5 * len(classes) + 0.9)
        axes = figure.add_subplot()
        mistakes = np.where(np.eye(len(classes), dtype=bool), 0.0, found.confusion)
        most = max(1.0, float(np.abs(mistakes).max()))
        for true, guess in np.ndindex(mistakes.shape):
            value = mistakes[true, guess]
            if true == guess:
                axes.plot([guess], [true], ".", color=_LINE)
            elif abs(value) >= 0.05:
                size = 0.16 + 0.78 * float(abs(value) / most) ** 0.5
                _square(axes, guess, true, size, _OTHER if value > 0 else _ACCENT)
                axes.text(guess, true, f"{value:+.1f}", ha="center", va="center", fontsize=6.5, color=_INK)
        axes.set_xlim(-0.5, len(classes) - 0.5)
        axes.set_ylim(len(classes) - 0.5, -0.5)
        turned = 0 if max(map(len, classes)) < 3 else 45
        axes.set_xticks(range(len(classes)), classes, rotation=turned, ha="right" if turned else "center")
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlabel("taken for")
        axes.set_ylabel("true class")
        return _svg(figure, "Mistakes of A less mistakes of B, by true class and prediction, on average over seeds", {})


def thumbnail(image: NDArray[np.uint8]) -> str:
    """An image (height, width), dark on light, as a data URI."""
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, image, cmap="gray_r", vmin=0, vmax=255, format="png")
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"


def _rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def _square(axes: "Axes", x: float, y: float, size: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - size / 2, y - size / 2), size, size, facecolor=colour, alpha=0.45, linewidth=0))


@contextmanager
def _style() -> "Iterator[None]":
    import matplotlib as mpl

    looks: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "archsearch", "font.size": 9, "text.color": _INK,
        "axes.labelcolor": _MUTED, "axes.edgecolor": _LINE, "xtick.color": _MUTED, "ytick.color": _MUTED,
        "xtick.labelcolor": _INK,
        "ytick.labelcolor": _INK, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "axes.formatter.useoffset": False, "text.parse_math": False,
    }  # fmt: skip
    with mpl.rc_context(looks):
        yield


def _tip(artist: Any, number: int) -> str:
    name = f"tip-{number}"
    artist.set_gid(name)
    return name


def _said(value: float, low: float, high: float) -> str:
    return f"{value:.2f} %" if isnan(low) else f"{value:.2f} % ({low:.2f} to {high:.2f})"


def _short(name: str, most: int = 28) -> str:
    name = _printable(name)
    return name if len(name) <= most else f"{name[: most - 3]}..."


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)  # XML has no control characters


def _svg(figure: "Figure", title: str, tips: Mapping[str, str]) -> str:
    """The figure as an `svg` element: named for screen readers, with a text for each point that is pointed at."""
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.collections, *axes.patches):
            artist.set_in_layout(False)  # they are inside the axes anyway, and measuring them takes half of the time
    content = io.BytesIO()
    figure.savefig(
        content, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(content.getvalue())
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for group in root.iter(f"{{{_SVG}}}g"):
        said = tips.get(group.get("id", ""))
        if said is not None:
            tip = ET.Element(f"{{{_SVG}}}title")
            tip.text = _printable(said)
            group.insert(0, tip)
    _make_ids_unique(root, f"f{crc32(content.getvalue()):x}-")
    root.set("role", "img")
    root.set("aria-label", title)
    root.set("preserveAspectRatio", "xMidYMid meet")
    for side in ("width", "height"):
        root.attrib.pop(side, None)
    text = ET.tostring(root, encoding="unicode")
    for colour, name in _VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)


def _make_ids_unique(root: ET.Element, prefix: str) -> None:
    """Give every id a beginning of its own: all figures stand in one document."""
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, prefix + value)
            elif key.endswith("href") and value.startswith("#"):
                element.set(key, f"#{prefix}{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}"))
