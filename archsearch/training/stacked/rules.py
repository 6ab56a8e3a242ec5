"""Which variants can be trained as one network. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

from archsearch.config.schema import show
from archsearch.config.settings import Settings
from archsearch.model.plan import Layer, Plan

# Layers that see each channel alone, so that they are the same for K members' channels as for one's.
CHANNELWISE = frozenset(
    "ReLU LeakyReLU GELU SiLU ELU Tanh ReLU6 Hardswish Mish MaxPool2d AvgPool2d AdaptiveAvgPool2d".split()
)
DROPOUTS = frozenset({"Dropout", "Dropout2d"})
_KINDS = CHANNELWISE | DROPOUTS | {"Conv2d", "BatchNorm2d", "InstanceNorm2d", "GroupNorm", "Flatten", "Linear"}

# What may differ: what belongs to a member alone, and what says nothing about training. All else must be the same, also
# settings that nobody has thought of here.
_FREE_SECTIONS = frozenset({"seed", "init", "tracking", "constraints", "sweep", "ui", "resume", "sweep_run"})
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
        """How it is trained."""

    @property
    def plan(self) -> Plan:
        """Its network."""


def why_not_stackable(candidates: Sequence[Candidate]) -> str | None:
    """Why `candidates` cannot be trained as one network, in words; None where they can.

    They may differ in seed, initial weights, dropout rates (and where there is dropout), label smoothing, and all
    settings of the same type of optimizer. A variant that goes on from a checkpoint of its own is not for a stack;
    that is not checked here.
    """
    if not candidates:
        return "there is nothing to stack"
    first, *others = candidates
    for layer in first.plan.layers:
        if layer.kind not in _KINDS:
            return f"{layer.path} is a {layer.kind}, which cannot be stacked"
    for number, other in enumerate(others, 2):
        reason = _of_settings(first.settings, other.settings) or _of_plans(first.plan, other.plan)
        if reason is not None:
            return f"members 1 and {number} of a stack must have {reason}"
    return None


def _of_settings(one: Settings, other: Settings) -> str | None:
    for section in (field.name for field in fields(one) if field.name not in _FREE_SECTIONS):
        mine, theirs = _flat(getattr(one, section)), _flat(getattr(other, section))
        for name in {**mine, **theirs}:
            if name not in _FREE.get(section, ()) and mine.get(name) != theirs.get(name):
                return f"the same {section}.{name}, and have {show(mine.get(name))} and {show(theirs.get(name))}"
    return None


def _of_plans(one: Plan, other: Plan) -> str | None:
    if one.input_shape != other.input_shape:
        return f"images of the same shape, and have {one.input_shape} and {other.input_shape}"
    mine, theirs = _without_dropout(one), _without_dropout(other)
    for left, right in zip(mine, theirs, strict=False):
        if (left.path, left.kind) != (right.path, right.kind):
            what = f"{left.path} ({left.kind}) and {right.path} ({right.kind})"
            return f"the same layers but for dropout, and have {what} in the same place"
        for name in {**left.arguments, **right.arguments}:
            values = left.arguments.get(name), right.arguments.get(name)
            if values[0] != values[1]:
                return f"the same {name} in {left.path}, and have {show(values[0])} and {show(values[1])}"
    if len(mine) != len(theirs):
        return f"as many layers but for dropout, and have {len(mine)} and {len(theirs)}"
    return None


def _without_dropout(plan: Plan) -> list[Layer]:
    return [layer for layer in plan.layers if layer.kind not in DROPOUTS]


def _flat(section: Any) -> dict[str, Any]:
    return {field.name: getattr(section, field.name) for field in fields(section)}
