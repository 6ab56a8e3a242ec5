"""The parts of a drawing: cards, stacks of parts, and forks into branches. Each knows its size and places itself.

The flow enters a part at the top and leaves it at the bottom, at `axis` pixels from the part's left side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from archsearch.model.drawing.shapes import (
    BODY,
    LEADING,
    SMALL,
    TITLE,
    Box,
    Circle,
    Drawing,
    Line,
    Role,
    Text,
    text_width,
)
from archsearch.model.tree import Join

PAD, GAP = 8.0, 20.0  # inside a box; between boxes
_BRANCH_GAP, _TURN, _RADIUS = 18.0, 10.0, 9.0
_SIGNS = {"add": "+", "multiply": "×", "concat": "concat"}


class Part(Protocol):
    """Something with a size that can be painted."""

    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...
    @property
    def axis(self) -> float: ...
    @property
    def is_marked(self) -> bool:
        """Whether it, or a part in it, is marked."""

    def paint(self, drawing: Drawing, x: float, y: float) -> None:
        """Paint it with its top left corner at (`x`, `y`)."""


@dataclass(frozen=True)
class Label:
    """The text at the top of a card or a frame: a title, its mark, lines, and numbers in small print."""

    title: str = ""
    lines: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    mark: str = ""

    @cached_property
    def _rows(self) -> list[tuple[str, float, Role, bool]]:
        rows: list[tuple[str, float, Role, bool]] = []
        rows += [(self.title, TITLE, "ink", True)] if self.title else []
        rows += [(self.mark, SMALL, "accent", True)] if self.mark else []
        rows += [(line, BODY, "ink", False) for line in self.lines]
        rows += [(line, SMALL, "muted", False) for line in self.numbers]
        return rows

    @property
    def width(self) -> float:
        """Width of the widest line."""
        return max((text_width(text, size, bold=bold) for text, size, _, bold in self._rows), default=0.0)

    @property
    def height(self) -> float:
        """Height of all lines."""
        return sum(size * LEADING for _, size, _, _ in self._rows)

    def paint(self, drawing: Drawing, x: float, y: float) -> None:
        """Paint the lines, the first below `y`."""
        for text, size, colour, bold in self._rows:
            y += size * LEADING
            drawing.add(Text(x, y - size * (LEADING - 1), text, size, colour, bold))


@dataclass(frozen=True)
class Card:
    """A box with text."""

    label: Label
    fill: Role = "soft"

    @property
    def width(self) -> float:
        return self.label.width + 2 * PAD

    @property
    def height(self) -> float:
        return self.label.height + 2 * PAD

    @property
    def axis(self) -> float:
        return self.width / 2

    @property
    def is_marked(self) -> bool:
        return bool(self.label.mark)

    def paint(self, drawing: Drawing, x: float, y: float) -> None:
        marked = self.is_marked
        drawing.add(Box(x, y, self.width, self.height, self.fill, "accent" if marked else "line", marked))
        self.label.paint(drawing, x + PAD, y + PAD)


@dataclass(frozen=True)
class Stack:
    """Parts one below the other, with arrows between them; without parts, a line."""

    parts: tuple[Part, ...]

    @cached_property
    def axis(self) -> float:
        return max((part.axis for part in self.parts), default=0.0)

    @property
    def is_marked(self) -> bool:
        return any(part.is_marked for part in self.parts)

    @cached_property
    def width(self) -> float:
        return self.axis + max((part.width - part.axis for part in self.parts), default=0.0)

    @cached_property
    def height(self) -> float:
        return sum(part.height for part in self.parts) + GAP * max(0, len(self.parts) - 1)

    def paint(self, drawing: Drawing, x: float, y: float) -> None:
        centre = x + self.axis
        for part in self.parts:
            part.paint(drawing, centre - part.axis, y)
            y += part.height + GAP
            if part is not self.parts[-1]:
                drawing.add(Line(((centre, y - GAP), (centre, y)), arrow=True))


@dataclass(frozen=True)
class Frame:
    """A box around a stack, with text at its top."""

    label: Label
    stack: Stack

    @cached_property
    def axis(self) -> float:
        return self._left + self.stack.axis

    @cached_property
    def width(self) -> float:
        return max(self.label.width + 2 * PAD, self.stack.width + 2 * PAD)

    @cached_property
    def height(self) -> float:
        return self._top + self.stack.height + PAD

    @property
    def is_marked(self) -> bool:
        return bool(self.label.mark) or self.stack.is_marked

    @property
    def _left(self) -> float:
        return (self.width - self.stack.width) / 2

    @property
    def _top(self) -> float:
        return self.label.height + 2 * PAD

    def paint(self, drawing: Drawing, x: float, y: float) -> None:
        marked = bool(self.label.mark)
        drawing.add(Box(x, y, self.width, self.height, "paper", "accent" if marked else "line", marked))
        self.label.paint(drawing, x + PAD, y + PAD)
        self.stack.paint(drawing, x + self._left, y + self._top)


@dataclass(frozen=True)
class Branch:
    """A branch of a fork and its name. Without parts, it passes its input on."""

    name: str
    stack: Stack

    @property
    def axis(self) -> float:
        return max(self.stack.axis, self._name_width / 2)

    @property
    def width(self) -> float:
        return self.axis + max(self.stack.width - self.stack.axis, self._name_width / 2)

    @property
    def _name_width(self) -> float:
        return text_width(self.name, SMALL)


@dataclass(frozen=True)
class Fork:
    """Branches side by side, and how they are joined."""

    branches: tuple[Branch, ...]
    join: Join

    @cached_property
    def axis(self) -> float:
        full = [branch for branch in self.branches if branch.stack.parts]
        if len(full) == 1:  # the others lead around it
            return self._lefts[self.branches.index(full[0])] + full[0].axis
        return self.width / 2

    @cached_property
    def width(self) -> float:
        return max(self._branches_width, 2 * self._reach)

    @cached_property
    def height(self) -> float:
        return self._top + max(branch.stack.height for branch in self.branches) + 2 * _TURN + 2 * _RADIUS

    @property
    def is_marked(self) -> bool:
        return any(branch.stack.is_marked for branch in self.branches)

    @property
    def _top(self) -> float:
        return _TURN + SMALL * LEADING + _TURN

    @cached_property
    def _branches_width(self) -> float:
        return sum(branch.width for branch in self.branches) + _BRANCH_GAP * (len(self.branches) - 1)

    @property
    def _reach(self) -> float:
        """Half the width of the sign that joins the branches."""
        sign = _SIGNS[self.join]
        return _RADIUS if len(sign) == 1 else text_width(sign, SMALL) / 2 + PAD

    @cached_property
    def _lefts(self) -> list[float]:
        lefts, left = [], (self.width - self._branches_width) / 2
        for branch in self.branches:
            lefts.append(left)
            left += branch.width + _BRANCH_GAP
        return lefts

    def paint(self, drawing: Drawing, x: float, y: float) -> None:
        centre, bottom = x + self.axis, y + self.height - _RADIUS
        sign, reach = _SIGNS[self.join], self._reach
        fork, top = y + _TURN, y + self._top
        for branch, left in zip(self.branches, self._lefts, strict=True):
            axis = x + left + branch.axis
            end = top + branch.stack.height
            into = [(axis, end), (axis, bottom), (centre + (reach if axis > centre else -reach), bottom)]
            if abs(axis - centre) <= reach:
                into = [(axis, end), (axis, bottom - _RADIUS)]
            way_in = ((centre, y), (centre, fork), (axis, fork), (axis, top))
            if branch.stack.parts:
                drawing.add(Line(way_in, arrow=True), Line(tuple(into), arrow=True))
                branch.stack.paint(drawing, axis - branch.stack.axis, top)
            else:
                drawing.add(Line((*way_in, *into), arrow=True))
            self._paint_name(drawing, branch, axis, fork)
        if len(sign) == 1:
            drawing.add(Circle(centre, bottom, _RADIUS))
        else:
            drawing.add(Box(centre - reach, bottom - _RADIUS, 2 * reach, 2 * _RADIUS, "paper", "ink"))
        drawing.add(Text(centre, bottom + 4, sign, BODY if len(sign) == 1 else SMALL, centred=True))

    @staticmethod
    def _paint_name(drawing: Drawing, branch: Branch, axis: float, fork: float) -> None:
        width = text_width(branch.name, SMALL)
        height = SMALL * LEADING
        drawing.add(Box(axis - width / 2, fork + 1, width, height, "paper", "paper"))
        drawing.add(Text(axis, fork + height - 3, branch.name, SMALL, "muted", centred=True))


def columns(parts: Sequence[Part], number: int) -> list[Stack]:
    """`parts` in at most `number` stacks, of which the highest is as low as possible."""
    low, high = max(part.height for part in parts), Stack(tuple(parts)).height
    while high - low > 1:
        middle = (low + high) / 2
        if len(_filled(parts, middle)) <= number:
            high = middle
        else:
            low = middle
    return [Stack(tuple(column)) for column in _filled(parts, high)]


def _filled(parts: Sequence[Part], height: float) -> list[list[Part]]:
    stacks: list[list[Part]] = [[]]
    for part in parts:
        if stacks[-1] and Stack((*stacks[-1], part)).height > height:
            stacks.append([])
        stacks[-1].append(part)
    return stacks
