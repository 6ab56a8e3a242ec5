"""Decides which variants can be trained as one network. Without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

from archsearch.config.schema import format_value
from archsearch.config.settings import Settings
from archsearch.model.plan import Plan
from archsearch.model.tree import Layer, Node, Parallel, steps

_DROPOUTS = frozenset({"Dropout", "Dropout2d"})
_COUNTERPARTS = _DROPOUTS | {"Flatten", "Linear"}  # layers for which a stack has others

# Settings that may differ, because each member has its own or because they do not affect training. All others must be
# equal, including settings added later.
_FREE_SECTIONS = frozenset(
    {"seed", "overwrite", "init", "tracking", "constraints", "sweep", "search", "space", "ui", "resume", "sweep_run"}
)
_FREE: Mapping[str, frozenset[str]] = {
    "optimizer": frozenset(
        {"lr", "momentum", "nesterov", "weight_decay", "betas", "eps", "norm_lr_factor", "bias_lr_factor"}
    ),
    "trainer": frozenset({"label_smoothing"}),
}


class Candidate(Protocol):
    """A run that could be a member of a stack."""

    @property
    def settings(self) -> Settings:
        """Its settings."""

    @property
    def plan(self) -> Plan:
        """The plan of its network."""


def why_not_stackable(candidates: Sequence[Candidate]) -> str | None:
    """The reason why `candidates` cannot be trained as one network; None if they can.

    They may differ in seed, initial weights, rates and places of dropout, label smoothing, and all settings of the same
    type of optimizer. A run that continues from a checkpoint cannot be stacked; this is not checked here.
    """
    if not candidates:
        return "there is nothing to stack"
    first, *others = candidates
    mixing = [name for name in ("mixup", "cutmix") if getattr(first.settings.augment, name) is not None]
    if mixing:
        return f"augment.{mixing[0]} mixes the images of a batch, which a stack cannot"
    for layer in first.plan.layers:
        if not is_stackable(layer):
            return f"{layer.path} is a {layer.type_name}, which cannot be stacked"
    for number, other in enumerate(others, 2):
        difference = _settings_difference(first.settings, other.settings) or _plan_difference(first.plan, other.plan)
        if difference is not None:
            return f"members 1 and {number} of a stack must have {difference}"
    return None


def is_stackable(layer: Layer) -> bool:
    """Whether a stack can compute `layer` for all members without mixing them."""
    if layer.kind in _COUNTERPARTS or layer.channel_counts == ():
        return True
    return layer.channel_counts is not None and len(layer.output) == 3  # the features of vectors are not side by side


def _settings_difference(first: Settings, second: Settings) -> str | None:
    for section in (field.name for field in fields(first) if field.name not in _FREE_SECTIONS):
        values, others = _as_dict(getattr(first, section)), _as_dict(getattr(second, section))
        for name in {**values, **others}:
            if name not in _FREE.get(section, ()) and values.get(name) != others.get(name):
                ours, theirs = format_value(values.get(name)), format_value(others.get(name))
                return f"the same {section}.{name}, but have {ours} and {theirs}"
    return None


def _plan_difference(first: Plan, second: Plan) -> str | None:
    if first.input_shape != second.input_shape:
        return f"images of the same shape, but have {first.input_shape} and {second.input_shape}"
    layers, others = _without_dropout(first.nodes), _without_dropout(second.nodes)
    for layer, other in zip(layers, others, strict=False):
        if (layer.path, layer.type_name) != (other.path, other.type_name):
            kinds = f"{layer.path} ({layer.type_name}) and {other.path} ({other.type_name})"
            return f"the same layers except for dropout, but have {kinds} in the same place"
        values, other_values = layer.arguments, other.arguments
        for name in {**values, **other_values}:
            if values.get(name) != other_values.get(name):
                ours, theirs = format_value(values.get(name)), format_value(other_values.get(name))
                return f"the same {name} in {layer.path}, but have {ours} and {theirs}"
    if len(layers) != len(others):
        return f"equally many layers except for dropout, but have {len(layers)} and {len(others)}"
    return None


def _without_dropout(nodes: Sequence[Node]) -> list[Layer | Parallel]:
    """The layers, and before those of branches how they are joined."""
    return [
        layer
        for node in nodes
        for layer in steps(node)
        if layer.type_name not in _DROPOUTS
    ]  # fmt: skip


def _as_dict(section: Any, prefix: str = "") -> dict[str, Any]:
    """Settings by their names, those in others as `affine.degrees`."""
    if not is_dataclass(section):
        return {prefix: section}
    places = {field.name: f"{prefix}.{field.name}".strip(".") for field in fields(section)}
    return {
        path: value for name, place in places.items() for path, value in _as_dict(getattr(section, name), place).items()
    }
