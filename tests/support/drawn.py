"""Models drawn at random by hypothesis, from the annotations of the settings of every block and head."""

from dataclasses import MISSING, dataclass
from math import prod
from operator import ge, gt, le, lt
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from torch import nn

from archsearch.config.schema import default_of, names_of
from archsearch.errors import ConfigError
from archsearch.model.blocks.base import Block, registered_blocks
from archsearch.model.builder import build_plan
from archsearch.model.heads import HEADS
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model

Values = st.SearchStrategy[dict[str, Any]]

# Blocks by their type, and heads by theirs: `conv`, `head gap`.
PARTS = (*registered_blocks(), *(f"head {kind}" for kind in HEADS))
_DEEPEST = 2  # blocks in blocks
_NUMBERS: dict[Any, list[float]] = {int: list(range(20)), float: [0.0, 0.25, 0.5, 1.0, 2.0]}
_LARGEST, _MOST_LAYERS = 100_000, 200  # parameters and values of a layer, and layers of a model
_CHOICES = 4  # the smallest numbers that a setting allows


@dataclass(frozen=True)
class Drawn:
    """A model, the shape of its images, its classes, and how its weights lie in memory."""

    model: dict[str, Any]
    shape: tuple[int, int, int]
    classes: int
    channels_last: bool = True

    def plan(self, shape: tuple[int, int, int] | None = None) -> Plan | None:
        """The plan for images of `shape`, else of the drawn shape; None if the model is refused, or too large to test.

        Repeats of branches that are concatenated double the channels each time.
        """
        spec, problems = parse_model(self.model)
        assert (spec is None) == bool(problems)
        try:
            drawn = None if spec is None else plan(spec, shape or self.shape, self.classes)
        except ConfigError:
            return None
        if drawn is None or len(drawn.layers) > _MOST_LAYERS:
            return None
        largest = max(layer.params + prod(layer.output) for layer in drawn.layers)
        return drawn if largest <= _LARGEST else None


@st.composite
def models(draw: st.DrawFn, part: str) -> Drawn:
    """A model with the block or the head `part`, whose settings are drawn."""
    kind = part.removeprefix("head ")
    channels = draw(st.integers(2, 4))
    stem = {"channels": channels, "kernel_size": 1, "padding": 0}
    if part != kind:
        last: dict[str, Any] = {"type": "adaptive_pool", "output_size": draw(st.sampled_from([1, 1, 2, 3]))}
        head = draw(settings_of(HEADS[kind]))
    else:
        last = draw(settings_of(registered_blocks()[kind]))
        head = draw(st.sampled_from([{"type": "gap"}, {"type": "linear"}]))
    model = {
        # Blocks in branches fit each other only if they keep height and width, for which chance alone is rare.
        "padding": draw(st.sampled_from(["same", 1, 0])),
        "dropout": draw(st.sampled_from([0.0, 0.25])),
        "order": draw(st.permutations(["conv", "activation", "norm", "dropout"])),
        "width": draw(st.sampled_from([1.0, 1.0, 0.5, 1.5])) if part == kind else 1.0,
        "blocks": {"stem": stem, "block": last},
        "head": head,
    }
    shape = draw(st.sampled_from([(1, 12, 12), (3, 9, 14), (2, 7, 5)]))
    return Drawn(model, shape, channels, draw(st.booleans()))


def settings_of(cls: type, depth: int = 0) -> Values:
    """The settings of a block or a head as in YAML: those that it needs, and some of those that have a default."""
    hints = get_type_hints(cls, include_extras=True)
    nested = cls.nested if issubclass(cls, Block) else {}
    needed, optional = {}, {}
    for name in names_of(cls):
        if name in nested:
            blocks = _named("bc", _any_block(depth + 1), least=0 if nested[name] == "branches" else 1)
            needed[name] = blocks if nested[name] == "blocks" else _named("xy", blocks, least=2)
        elif name == "type" or default_of(cls, name) is MISSING:
            needed[name] = values_of(hints[name])
        else:
            optional[name] = values_of(hints[name])
    # Few at a time: most of the combinations of many are refused.
    names = st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True) if optional else st.just([])
    return names.flatmap(lambda chosen: st.fixed_dictionaries(needed | {name: optional[name] for name in chosen}))


def _any_block(depth: int) -> Values:
    types = registered_blocks().values()
    allowed = [cls for cls in types if depth < _DEEPEST or not cls.nested]
    return st.sampled_from(allowed).flatmap(lambda cls: settings_of(cls, depth))


def _named(names: str, values: Values, least: int) -> Values:
    return st.lists(values, min_size=least, max_size=len(names)).map(
        lambda drawn: dict(zip(names, drawn, strict=False))
    )


def values_of(annotation: Any, bounds: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """The values of an annotation, of which numbers are small."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = tuple(limit for item in arguments[1:] for limit in getattr(item, "metadata", [item]))
        return values_of(arguments[0], limits)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        return st.one_of(*(values_of(member) for member in arguments))
    if origin is tuple:
        return _lists_of(arguments)
    if annotation in _NUMBERS:
        numbers = [value for value in _NUMBERS[annotation] if all(_is_within(value, bound) for bound in bounds)]
        return st.sampled_from(numbers[:_CHOICES])
    return {bool: st.booleans(), NoneType: st.none()}[annotation]


def _lists_of(arguments: tuple[Any, ...]) -> st.SearchStrategy[list[Any]]:
    """The values of `tuple[arguments]`."""
    if arguments[-1] is not Ellipsis:
        return st.tuples(*(values_of(member) for member in arguments)).map(list)
    if get_origin(arguments[0]) is Literal:  # an order of all choices
        return st.permutations(get_args(arguments[0]))
    return st.lists(values_of(arguments[0]), max_size=2)


def _is_within(value: float, bound: Any) -> bool:
    return all(
        compare(value, getattr(bound, name))
        for cls, name, compare in ((Ge, "ge", ge), (Gt, "gt", gt), (Le, "le", le), (Lt, "lt", lt))
        if isinstance(bound, cls)
    )


def trained(plan: Plan, seed: int = 0, *, channels_last: bool = True) -> nn.Sequential:
    """A network in double precision whose norms have random statistics, weights and biases, as after training."""
    torch.manual_seed(seed)
    network = build_plan(plan).double()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d | nn.LayerNorm):
            nn.init.uniform_(layer.weight, -2, 2)
            nn.init.normal_(layer.bias)
    return network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
