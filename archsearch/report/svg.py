"""Matplotlib figures as inline SVG with the page's colours and fonts, tooltips and accessible names."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zlib import crc32

from archsearch.system.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

# Placeholder colours, replaced by the page's CSS variables, which differ in light and dark mode.
INK, MUTED, LINE, ACCENT, OTHER = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
THIRD, FOURTH, PAPER = "#101112", "#131415", "#161718"
LABEL_BOX = {"facecolor": PAPER, "alpha": 0.75, "linewidth": 0, "pad": 0.6}  # behind text that lies over lines
_VARIABLES = {
    INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", OTHER: "other", THIRD: "third", FOURTH: "fourth",
    PAPER: "paper",
}  # fmt: skip
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"


@contextmanager
def svg_style() -> "Iterator[None]":
    """Matplotlib settings for figures that `to_svg` converts."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {
        "svg.fonttype": "none", "figure.dpi": 72, "svg.hashsalt": "archsearch", "font.size": 9, "text.color": INK,
        "axes.labelcolor": MUTED, "axes.edgecolor": LINE, "xtick.color": MUTED, "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "axes.formatter.useoffset": False, "text.parse_math": False,
    }  # fmt: skip
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the browser has other fonts
        yield


def add_tooltip(artist: Any, text: str, tooltips: dict[str, str]) -> None:
    """Show `text` when the pointer is on `artist`; `tooltips` are those of the figure, for `to_svg`."""
    name = f"tip-{len(tooltips)}"
    artist.set_gid(name)
    tooltips[name] = text


def to_svg(figure: "Figure", title: str, tooltips: Mapping[str, str]) -> str:
    """The figure as an `svg` element, with `title` as its accessible name."""
    from matplotlib.text import Text

    for label in figure.findobj(Text):
        label.set_text("\n".join(map(printable, label.get_text().split("\n"))))
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.collections, *axes.patches):
            artist.set_in_layout(False)  # they are inside the axes; measuring them takes half of the time
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
        tooltip = tooltips.get(group.get("id", ""))
        if tooltip is not None:
            element = ET.Element(f"{{{_SVG}}}title")
            element.text = printable(tooltip)
            group.insert(0, element)
    _make_ids_unique(root, f"f{crc32(content.getvalue()):x}-")
    for element in root.iter():  # not in the text, where a variant may be called #010203
        element.attrib = {key: _in_page_style(value) for key, value in element.attrib.items()}
    root.set("role", "img")
    root.set("aria-label", printable(title))
    root.set("preserveAspectRatio", "xMidYMid meet")
    for side in ("width", "height"):
        root.attrib.pop(side, None)
    return ET.tostring(root, encoding="unicode")


def _in_page_style(value: str) -> str:
    """The value of an attribute with the page's colours, and without a font, as the page has its own."""
    for colour, name in _VARIABLES.items():
        value = value.replace(colour, f"var(--{name})")
    value = re.sub(r"font: ([\d.]+)px [^;]*", r"font-size: \1px", value)
    return re.sub(r"font-family: [^;]*; ?", "", value)


def _make_ids_unique(root: ET.Element, prefix: str) -> None:
    """Add `prefix` to all ids and references to them, because all figures share one HTML document."""
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, prefix + value)
            elif key.endswith("href") and value.startswith("#"):
                element.set(key, f"#{prefix}{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}"))
