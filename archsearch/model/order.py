"""The order of blocks: as they are written, unless `after` or `before` puts one beside another. No torch."""

from collections.abc import Collection, Iterator, Mapping
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
    names = [*present, HEAD] if has_head and HEAD not in present else present
    order = _Order(path, blocks, {name: position for position, name in enumerate(names)})
    for name in present:
        order.place(name, blocks[name])
    resolved = order.resolved()
    return (
        (present, order.problems)
        if order.problems
        else ([name for name in resolved if blocks.get(name) is not None], [])
    )


@plain_dataclass
class _Order:
    """What stands beside what."""

    path: str
    blocks: Mapping[Any, object]
    positions: dict[Any, int]  # of the blocks as written, and of the head, where there is one
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
        if other == HEAD and setting == "after" and self.blocks.get(HEAD) is None and HEAD in self.positions:
            return "but the head ends the model; leave `after` out, or use before=head"
        if other in self.positions:
            return ""
        if other in self.blocks:
            return "which is taken out with null"
        others = [str(known) for known in self.positions if known != name and (setting == "before" or known != HEAD)]
        if not others:
            return "but there is no block beside it"
        return f"must be one of the blocks beside it: {', '.join(others)}{did_you_mean(other, others)}"

    def resolved(self) -> list[Any]:
        """All names in order. Reports blocks that stand beside each other in a circle."""
        around: dict[Any, dict[str, list[Any]]] = {name: {"before": [], "after": []} for name in self.positions}
        for name, (setting, other) in self.beside.items():
            around[other][setting].append(name)
        names: list[Any] = []
        pending = [(name, False) for name in reversed(self.positions) if name not in self.beside]
        while pending:
            name, is_next = pending.pop()
            if is_next:
                names.append(name)
                continue
            before, after = around[name]["before"], around[name]["after"]
            pending += reversed([*((one, False) for one in before), (name, True), *((one, False) for one in after)])
        for circle in self._circles(set(self.positions) - set(names)):
            setting, other = self.beside[circle[0]]
            rule = f"got {format_value(other)}, which goes round in a circle: {' -> '.join(map(str, circle))}"
            self.problems.append(Problem(f"{self.path}.{circle[0]}.{setting}", rule))
        return names

    def _circles(self, left: Collection[Any]) -> Iterator[list[Any]]:
        """The circles of blocks, each beside the next, among those `left`; the first block comes last, too.

        Each block that is left is beside another such block.
        """
        walks: dict[Any, Any] = {}  # the block at which the walk began that came by
        for start in sorted(left, key=self.positions.__getitem__):
            walked, name = [], start
            while name not in walks:
                walks[name] = start
                walked.append(name)
                name = self.beside[name][1]
            if walks[name] == start:
                circle = walked[walked.index(name) :]
                first = circle.index(min(circle, key=self.positions.__getitem__))
                yield [*circle[first:], *circle[: first + 1]]
