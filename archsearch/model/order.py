"""The order of blocks: as they are written, unless `after` or `before` puts one beside another. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Any

from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, format_value, names_of, read
from archsearch.errors import Problem, did_you_mean

HEAD = "head"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Place:
    """Where a block stands. Not a setting of the block itself: only the resulting order counts."""

    after: str | None = None
    """name of the block that this one follows, of those beside it"""
    before: str | None = None
    """name of the block that this one precedes, of those beside it; `head` puts it at the model's end"""


PLACES = names_of(Place)


def block_order(blocks: Mapping[Any, object], path: str, *, has_head: bool) -> tuple[list[Any], list[Problem]]:
    """The names of `blocks`, which stand at `path`, in order, and what is wrong with `after` and `before`.

    Blocks beside the same one keep the order in which they are written. Blocks that are None are left out. `has_head`:
    the head follows, so that a block can stand before it. With problems, the order is the written one.
    """
    present = [name for name, values in blocks.items() if values is not None]
    order = _Order(path, blocks, [*present, HEAD] if has_head and HEAD not in present else present)
    for name in present:
        order.place(name, blocks[name])
    resolved = order.resolved()
    return (present, order.problems) if order.problems else ([name for name in resolved if name in blocks], [])


@plain_dataclass
class _Order:
    """What stands beside what."""

    path: str
    blocks: Mapping[Any, object]
    names: list[Any]  # with the head, where there is one
    problems: list[Problem] = field(default_factory=list)
    beside: dict[Any, tuple[str, Any]] = field(default_factory=dict)  # the setting of a block, and the other block

    def place(self, name: object, values: object) -> None:
        """Read `after` and `before` of block `name`."""
        given = {key: values[key] for key in PLACES if key in values} if isinstance(values, Mapping) else {}
        place, problems = read(Place, given, f"{self.path}.{name}") if given else (None, [])
        self.problems += problems
        if place is None:
            return
        if place.after is not None and place.before is not None:
            rule = f"got {place.before!r} beside after={place.after}; a block has one of them"
            self.problems.append(Problem(f"{self.path}.{name}.before", rule))
            return
        for setting, other in (("after", place.after), ("before", place.before)):
            if other is None:
                continue
            rule = self._objection(name, setting, other)
            if rule:
                self.problems.append(Problem(f"{self.path}.{name}.{setting}", f"got {other!r}, {rule}"))
            else:
                self.beside[name] = (setting, other)

    def _objection(self, name: object, setting: str, other: str) -> str:
        """Why `name` cannot stand beside `other`; an empty string if it can."""
        if other == name:
            return "which is the block itself"
        if other == HEAD and setting == "after" and self.blocks.get(HEAD) is None and HEAD in self.names:
            return "but the head ends the model; leave `after` out, or use before=head"
        if other in self.names:
            return ""
        if other in self.blocks:
            return "which is taken out with null"
        others = [str(known) for known in self.names if known != name and (setting == "before" or known != HEAD)]
        if not others:
            return "but there is no block beside it"
        return f"must be one of the blocks beside it: {', '.join(others)}{did_you_mean(other, others)}"

    def resolved(self) -> list[Any]:
        """All names in order. Reports blocks that stand beside each other in a circle."""
        around: dict[Any, dict[str, list[Any]]] = {name: {"before": [], "after": []} for name in self.names}
        for name, (setting, other) in self.beside.items():
            around[other][setting].append(name)
        names: list[Any] = []
        pending = [(name, False) for name in reversed(self.names) if name not in self.beside]
        while pending:
            name, is_next = pending.pop()
            if is_next:
                names.append(name)
                continue
            before, after = around[name]["before"], around[name]["after"]
            pending += reversed([*((one, False) for one in before), (name, True), *((one, False) for one in after)])
        left = [name for name in self.beside if name not in set(names)]
        while left:
            circle = self._circle(left[0])
            setting, other = self.beside[circle[0]]
            rule = f"got {format_value(other)}, which goes round in a circle: {' -> '.join(map(str, circle))}"
            self.problems.append(Problem(f"{self.path}.{circle[0]}.{setting}", rule))
            left = [name for name in left if not set(self._walk(name)) & set(circle)]
        return names

    def _circle(self, start: object) -> list[Any]:
        """The circle that following `after` and `before` from `start` ends in; its first block comes last, too."""
        walked = self._walk(start)
        again = self.beside[walked[-1]][1]
        circle = walked[walked.index(again) :]
        first = min(circle, key=self.names.index)
        turn = circle.index(first)
        return [*circle[turn:], *circle[:turn], first]

    def _walk(self, start: object) -> list[Any]:
        """The blocks from `start` on, each beside the next, until one comes again."""
        walked = [start]
        while (following := self.beside[walked[-1]][1]) not in walked:
            walked.append(following)
        return walked
