"""A drawing as SVG. Not by matplotlib: every run of a sweep has a drawing, and this takes milliseconds."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping

from archsearch.model.drawing.shapes import Box, Circle, Drawing, Line, Role, Text
from archsearch.system.terminal import printable

PALETTE: Mapping[Role, str] = {
    "ink": "#1a1d21", "muted": "#565d66", "line": "#9aa3ad", "paper": "#ffffff", "soft": "#f3f5f7",
    "blue": "#eef5fd", "orange": "#fff3e6", "accent": "#c2410c",
}  # fmt: skip
MARKED, PLAIN = 2.4, 1.0  # widths of a box's edge
HEAD = 5.0  # length of an arrowhead
ROUND = 5.0  # radius of a box's corners


def to_svg(drawing: Drawing, palette: Mapping[Role, str] = PALETTE, *, standalone: bool = True) -> str:
    """The drawing as an `svg` element; a file of its own if `standalone`, with its fonts and background."""
    width, height = f"{drawing.width:.0f}", f"{drawing.height:.0f}"
    root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "role": "img"})
    root.attrib |= {"width": width, "height": height, "aria-label": printable(drawing.title)}
    root.set("class", "network")
    if standalone:
        root.set("font-family", "DejaVu Sans, Verdana, Arial, sans-serif")
        ET.SubElement(root, "rect", {"width": width, "height": height, "fill": palette["paper"]})
    for shape in drawing.shapes:
        if isinstance(shape, Box):
            _box(root, shape, palette)
        elif isinstance(shape, Circle):
            circle = {"cx": _number(shape.x), "cy": _number(shape.y), "r": _number(shape.radius)}
            ET.SubElement(root, "circle", {**circle, **_filled(palette[shape.fill], palette[shape.edge])})
        elif isinstance(shape, Line):
            _line(root, shape, palette)
        else:
            _text(root, shape, palette)
    return ET.tostring(root, encoding="unicode") + ("\n" if standalone else "")


def arrowhead(line: Line) -> tuple[tuple[float, float], ...]:
    """The corners of the arrowhead at the end of `line`, which is horizontal or vertical there."""
    (x0, y0), (x, y) = line.points[-2:]
    length = max(abs(x - x0), abs(y - y0)) or 1.0
    dx, dy = (x - x0) / length * HEAD, (y - y0) / length * HEAD
    return (x, y), (x - dx - dy * 0.6, y - dy - dx * 0.6), (x - dx + dy * 0.6, y - dy + dx * 0.6)


def _box(root: ET.Element, box: Box, palette: Mapping[Role, str]) -> None:
    place = {"x": _number(box.x), "y": _number(box.y), "width": _number(box.width), "height": _number(box.height)}
    edge = _filled(palette[box.fill], palette[box.edge], MARKED if box.marked else PLAIN)
    ET.SubElement(root, "rect", {**place, "rx": _number(ROUND), **edge})


def _line(root: ET.Element, line: Line, palette: Mapping[Role, str]) -> None:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in line.points)
    ET.SubElement(root, "polyline", {"points": points, **_filled("none", palette["muted"], 1.2)})
    if line.arrow:
        corners = " ".join(f"{_number(x)},{_number(y)}" for x, y in arrowhead(line))
        ET.SubElement(root, "polygon", {"points": corners, "fill": palette["muted"]})


def _text(root: ET.Element, text: Text, palette: Mapping[Role, str]) -> None:
    element = ET.SubElement(root, "text", {"x": _number(text.x), "y": _number(text.y), "fill": palette[text.colour]})
    element.set("font-size", _number(text.size))
    if text.bold:
        element.set("font-weight", "bold")
    if text.centred:
        element.set("text-anchor", "middle")
    element.text = printable(text.text)


def _filled(fill: str, edge: str, width: float = PLAIN) -> dict[str, str]:
    return {"fill": fill, "stroke": edge, "stroke-width": _number(width)}


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
