"""What a drawing consists of: boxes, circles, lines and text at places, in pixels from the top left corner."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Role = Literal["ink", "muted", "line", "paper", "soft", "blue", "orange", "accent"]
Point = tuple[float, float]

TITLE, BODY, SMALL = 13.0, 12.0, 11.0  # sizes of text
LEADING = 1.35  # distance of lines, in sizes

# Widths of characters in DejaVu Sans, which is wider than what browsers choose, in ems.
_NARROW, _WIDE = frozenset(" ijlI.,:;'|!()[]"), frozenset("mwMWQO@%")
_EMS = {"narrow": 0.4, "wide": 0.98, "other": 0.65}
_BOLD = 1.14
_BOLD_CAPITAL = 0.84  # in ems; a name may be all capitals


@dataclass(frozen=True)
class Box:
    """A rectangle with round corners, whose edge is thick if it is `marked`."""

    x: float
    y: float
    width: float
    height: float
    fill: Role
    edge: Role = "line"
    marked: bool = False


@dataclass(frozen=True)
class Circle:
    """A disc around (`x`, `y`)."""

    x: float
    y: float
    radius: float
    fill: Role = "paper"
    edge: Role = "ink"


@dataclass(frozen=True)
class Line:
    """A line through `points`, with an arrowhead at the last one if it is an `arrow`."""

    points: tuple[Point, ...]
    arrow: bool = False


@dataclass(frozen=True)
class Text:
    """One line of text, whose baseline begins at (`x`, `y`), or is centred there."""

    x: float
    y: float
    text: str
    size: float
    colour: Role = "ink"
    bold: bool = False
    centred: bool = False


Shape: TypeAlias = Box | Circle | Line | Text


@dataclass
class Drawing:
    """Shapes in the order in which they are painted, and the size of all."""

    title: str
    width: float = 0.0
    height: float = 0.0
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Paint `shapes` over those before."""
        self.shapes += shapes


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of `text` in pixels, rounded up generously."""
    ems = 0.0
    for char in text:
        width = _EMS["narrow" if char in _NARROW else "wide" if char in _WIDE else "other"]
        ems += max(width * _BOLD, _BOLD_CAPITAL if char.isupper() or not char.isascii() else 0.0) if bold else width
    return ems * size


def wrap(words: Iterable[str], size: float, width: float, *, bold: bool = False) -> list[str]:
    """`words` in lines of at most `width` pixels; longer ones stand alone."""
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
