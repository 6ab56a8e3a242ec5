"""Drawings as files: SVG, and PNG by matplotlib."""

from pathlib import Path

from archsearch.model.drawing.shapes import Box, Circle, Drawing, Line
from archsearch.model.drawing.svg import MARKED, PALETTE, PLAIN, ROUND, arrowhead, to_svg
from archsearch.system.atomic import replacing, write_text

_POINTS = 0.72  # of a pixel: a figure of 100 pixels an inch
_MOST_PIXELS = 16_000  # of a side; PNG readers take no more than 65,535


def write_drawing(drawing: Drawing, path: Path) -> None:
    """Write `drawing` to `path`, as SVG or PNG by its suffix. Raises `OSError`."""
    if path.suffix == ".png":
        _write_png(drawing, path)
    else:
        write_text(path, to_svg(drawing))


def _write_png(drawing: Drawing, path: Path) -> None:
    """With two pixels for one of the drawing, or fewer if it is very large."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle as Disc
    from matplotlib.patches import FancyBboxPatch, Polygon

    figure = Figure(figsize=(drawing.width / 100, drawing.height / 100), facecolor=PALETTE["paper"])
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    for order, shape in enumerate(drawing.shapes):
        if isinstance(shape, Box):
            width = (MARKED if shape.marked else PLAIN) * _POINTS
            style = f"round,pad=0,rounding_size={min(ROUND, shape.width / 2, shape.height / 2)}"
            axes.add_patch(
                FancyBboxPatch((shape.x, shape.y), shape.width, shape.height, boxstyle=style, linewidth=width,
                               facecolor=PALETTE[shape.fill], edgecolor=PALETTE[shape.edge], zorder=order)
            )  # fmt: skip
        elif isinstance(shape, Circle):
            axes.add_patch(
                Disc((shape.x, shape.y), shape.radius, linewidth=_POINTS, facecolor=PALETTE[shape.fill],
                     edgecolor=PALETTE[shape.edge], zorder=order)
            )  # fmt: skip
        elif isinstance(shape, Line):
            axes.plot(*zip(*shape.points, strict=True), color=PALETTE["muted"], linewidth=1.2 * _POINTS, zorder=order)
            if shape.arrow:
                axes.add_patch(Polygon(arrowhead(shape), facecolor=PALETTE["muted"], linewidth=0, zorder=order))
        else:
            axes.text(
                shape.x, shape.y, shape.text, fontsize=shape.size * _POINTS, color=PALETTE[shape.colour],
                weight="bold" if shape.bold else "normal", ha="center" if shape.centred else "left", va="baseline",
                zorder=order, parse_math=False,
            )  # fmt: skip
    resolution = min(200.0, 100 * _MOST_PIXELS / max(drawing.width, drawing.height))
    with replacing(path) as scratch:
        figure.savefig(scratch, dpi=resolution)
