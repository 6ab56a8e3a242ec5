"""From a plan to a drawing: which boxes there are, what they say, and where they stand."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from archsearch.model.drawing.parts import GAP, PAD, Branch, Card, Fork, Frame, Label, Part, Stack, columns
from archsearch.model.drawing.shapes import LEADING, SMALL, TITLE, Drawing, Line, Text, text_width, wrap
from archsearch.model.drawing.words import Signature, layer_lines, numbers, short_count, signature
from archsearch.model.plan import Plan
from archsearch.model.tree import Layer, Node, Parallel
from archsearch.model.tree import Sequence as Nodes

_WIDEST = 250.0  # pixels of a card's text
_TALLEST = 900.0  # pixels of a column, unless the drawing is wider
_COLUMN_GAP = 36.0
_MOST = 60  # boxes of a stack; those in the middle are left out
_MOST_BRANCHES = 12


def draw(plan: Plan, title: str, other: Plan | None = None, moved: Collection[str] = ()) -> Drawing:
    """Draw `plan`. Boxes that differ from those of `other` are marked, and the blocks `moved`.

    A box says what its layers are, the shape of its output, the receptive field (RF) after it, and its parameters and
    MACs, as `archsearch.model.tree` defines them.
    """
    marks = dict.fromkeys(moved, "moved")
    if other is not None:
        marks |= {path: f"moved, {mark}" if path in moved else mark for path, mark in _marks(plan, other).items()}
    return _placed(_Composer(marks).parts(plan), plan, title)


def _marks(plan: Plan, other: Plan) -> Mapping[str, str]:
    composers = _Composer({}), _Composer({})
    for composer, network in zip(composers, (plan, other), strict=True):
        composer.parts(network)
    mine, others = (composer.signatures for composer in composers)
    return {path: "changed" if path in others else "only here" for path in mine if mine[path] != others.get(path)}


@dataclass
class _Composer:
    """Makes the parts of a plan. Notes the signature of each box by its place."""

    marks: Mapping[str, str]
    signatures: dict[str, Signature] = field(default_factory=dict)

    def parts(self, plan: Plan) -> list[Part]:
        """The input, then each block, then the head."""
        entrance = Card(Label("input", numbers=("x".join(map(str, plan.input_shape)),)))
        return [entrance, *self._stacked(plan.nodes)]

    def _stacked(self, nodes: Iterable[Node]) -> list[Part]:
        """A part for each node; layers that follow each other share one."""
        parts: list[Part] = []
        loose: list[Layer] = []
        for node in nodes:
            if isinstance(node, Layer):
                loose.append(node)
                continue
            parts += self._cards(loose)
            loose = []
            parts.append(self._fork(node) if isinstance(node, Parallel) else self._block(node))
        parts += self._cards(loose)
        if len(parts) > _MOST:
            half = _MOST // 2
            parts[half:-half] = [_omitted(parts[half:-half])]
        return parts

    def _cards(self, layers: Sequence[Layer]) -> list[Part]:
        """Layers beside blocks, in one card; those of a network that is not a model, in one each."""
        if layers and not layers[0].name:
            return [self._card(layer.path, layer.block, [layer]) for layer in layers]
        return [self._card(layers[0].path, "", layers)] if layers else []

    def _block(self, node: Nodes, title: str | None = None, count: int = 1, last: Node | None = None) -> Part:
        """A sequence: a card if it holds layers only, otherwise a frame. It stands for `count`, up to `last`."""
        title = node.path.rpartition(".")[2] if title is None else title
        repeats = _repeats(node)
        if len(repeats) == 1:
            copies, first, final = repeats[0]
            self._note(node.path, f"{copies} times")
            return self._block(first, f"{title} ×{copies}", copies, final)
        layers = [child for child in node.children if isinstance(child, Layer)]
        if len(layers) == len(node.children):
            return self._card(node.path, title, layers, count, last)
        joins = (child.join for child in node.children if isinstance(child, Parallel))
        mark = self._note(node.path, *joins, *(f"{copies} times" for copies, _, _ in repeats))
        label = Label(title, (), numbers(node, count, last), mark)
        if not repeats:
            return Frame(label, Stack(tuple(self._stacked(node.children))))
        number, parts = 0, []
        for copies, first, final in repeats:
            inner = f"{title}.{number}" if copies == 1 else f"{title}.{number}-{number + copies - 1} ×{copies}"
            parts.append(self._block(first, inner, copies, final))
            number += copies
        return Frame(label, Stack(tuple(parts)))

    def _card(
        self, path: str, title: str, layers: Sequence[Layer], count: int = 1, last: Node | None = None
    ) -> Card:  # fmt: skip
        mark = self._note(path, *(signature(layer, inputs=False) for layer in layers))
        has_params = any(layer.params for layer in layers)
        small = numbers(Nodes(path, tuple(layers)), count, last) if title or has_params else ()
        label = Label(title, tuple(layer_lines(layers, _WIDEST)), small, mark)
        is_head = layers[0].block == "head" and layers[0].place == path
        return Card(label, "orange" if is_head else "blue" if has_params else "soft")

    def _note(self, path: str, *content: "str | Signature") -> str:
        """Note what a box stands for, and return its mark. Repeats of a block share its place."""
        place = ".".join(name for name in path.split(".") if not name.isdecimal())
        self.signatures[place] = (*self.signatures.get(place, ()), *content)
        return self.marks.get(place, "")

    def _fork(self, node: Parallel) -> Fork:
        branches = [
            Branch(branch.path.rpartition(".")[2], Stack(tuple(self._stacked(branch.children))))
            for branch in node.branches
        ]
        if len(branches) > _MOST_BRANCHES:
            half = _MOST_BRANCHES // 2
            hidden = branches[half:-half]
            branches[half:-half] = [Branch("", Stack((_omitted([branch.stack for branch in hidden]),)))]
        return Fork(tuple(branches), node.join)


def _omitted(parts: Sequence[Part]) -> Card:
    """One card in place of `parts`."""
    mark = "changed" if any(part.is_marked for part in parts) else ""
    return Card(Label(f"... {len(parts):,} more ...", mark=mark))


def _repeats(node: Nodes) -> list[tuple[int, Nodes, Nodes]]:
    """The repeats of a block, equal ones together: how many, the first and the last. Empty if it is none."""
    children = [child for child in node.children if isinstance(child, Nodes)]
    if [child.path.rpartition(".")[2] for child in children] != list(map(str, range(len(node.children)))):
        return []
    groups: list[tuple[int, Nodes, Nodes]] = []
    for child in children:
        count, first, _ = groups[-1] if groups else (0, child, child)
        if groups and signature(first) == signature(child):
            groups[-1] = (count + 1, first, child)
        else:
            groups.append((1, child, child))
    return groups


def _placed(parts: Sequence[Part], plan: Plan, title: str) -> Drawing:
    drawing = Drawing(title)
    stacks = _arranged(parts)
    width = sum(stack.width for stack in stacks) + _COLUMN_GAP * (len(stacks) - 1)
    subtitle = _totals(plan)
    y = PAD
    for text, size, bold in ((title, TITLE + 2, True), (subtitle, SMALL, False)):
        for line in wrap(text.split(" "), size, max(width, _WIDEST), bold=bold):
            y += size * LEADING
            drawing.add(Text(PAD, y, line, size, "ink" if bold else "muted", bold))
            width = max(width, text_width(line, size, bold=bold))
    top, x = y + PAD + GAP, PAD
    lefts = []
    for stack in stacks:
        lefts.append(x)
        stack.paint(drawing, x, top)
        x += stack.width + _COLUMN_GAP
    for (stack, left), (following, right) in pairwise(zip(stacks, lefts, strict=True)):
        begin, end, middle = left + stack.axis, right + following.axis, right - _COLUMN_GAP / 2
        bottom = top + stack.height
        points = ((begin, bottom), (begin, bottom + 12), (middle, bottom + 12), (middle, top - 14))
        drawing.add(Line((*points, (end, top - 14), (end, top)), arrow=True))
    drawing.width, drawing.height = width + 2 * PAD, top + max(stack.height for stack in stacks) + PAD + 12
    return drawing


def _arranged(parts: Sequence[Part]) -> list[Stack]:
    """The columns: as few as make the drawing no taller than `_TALLEST`, or than it is wide."""
    for number in range(1, len(parts) + 1):
        stacks = columns(parts, number)
        width = sum(stack.width for stack in stacks) + _COLUMN_GAP * (len(stacks) - 1)
        if max(stack.height for stack in stacks) <= max(_TALLEST, width):
            break
    return stacks


def _totals(plan: Plan) -> str:
    window = f", receptive field {plan.receptive_field}" if plan.receptive_field else ""
    return f"{plan.params:,} parameters, {short_count(plan.macs)} MACs{window}"
