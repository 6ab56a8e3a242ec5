"""Turns K networks into one that computes them all, and back.

Each parameter and statistic of the stack is the members' own, concatenated along the first axis: member k of K has the
k-th of K equal parts.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from archsearch.model.builder import build_layer
from archsearch.model.layers import Parallel
from archsearch.model.plan import Plan
from archsearch.model.tree import Layer
from archsearch.training.stacked.layers import MemberDropout, MemberFlatten, MemberLinear, MemberParallel
from archsearch.training.stacked.rules import is_stackable


class _Slot(NamedTuple):
    """A layer's position in a network. Slots sort in the order of computation."""

    preceding: int  # layers before it, not counting dropout
    is_layer: bool  # False for dropout
    path: str
    kind: str


class Stack(nn.Sequential):
    """`networks` as one: images (batch, K * channels, height, width) -> logits (K, batch, classes).

    The networks may differ only in weights and dropout (see `rules.why_not_stackable`); raises `ValueError` otherwise.
    Their weights are copied. `plan` is that of any of them.
    """

    def __init__(self, networks: Sequence[nn.Sequential], plan: Plan) -> None:
        layers: dict[str, nn.Module] = {}
        planned = {layer.path: layer for layer in plan.layers}
        super().__init__(*_stacked_layers(networks, "", planned, layers))
        self.members = len(networks)
        self._layers = layers  # with weights, by path; a dictionary, so that they are no submodules once more
        self._templates = [copy.deepcopy(network).to("meta") for network in networks]

    def member(self, number: int) -> nn.Sequential:
        """Member `number`, counted from 0, as a network of its own, with copies of its weights."""
        network = copy.deepcopy(self._templates[number])
        for path, layer in network.named_modules():
            stacked = self._layers.get(path)
            if stacked is None:
                continue
            for name, parameter in stacked.named_parameters():
                value = self.part(parameter.detach(), number, number + 1).clone()
                _assign(layer, name, nn.Parameter(value, requires_grad=parameter.requires_grad))
            for name, buffer in stacked.named_buffers():
                _assign(layer, name, self.part(buffer, number, number + 1).clone())
        return network.train(self.training)

    def part(self, value: Tensor, begin: int, end: int) -> Tensor:
        """The view of a parameter, gradient or buffer for the members `begin` to `end - 1`."""
        if not value.dim():  # batch norm's batch counter
            return value
        size = len(value) // self.members
        return value[begin * size : end * size]


def _leaves(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers by path, in order; a `Parallel` is one layer."""
    for name, layer in network.named_children():
        path = f"{prefix}{name}"
        if type(layer) is nn.Sequential:
            yield from _leaves(layer, f"{path}.")
        else:
            yield path, layer


def _stacked_layers(
    networks: Sequence[nn.Module], prefix: str, planned: Mapping[str, Layer], layers: dict[str, nn.Module]
) -> list[nn.Module]:
    """The layers that compute those of all `networks`; those that members have are added to `layers` by path."""
    layers_by_slot = [_slots(network, prefix) for network in networks]
    # Sorting puts a dropout that only some members have at its place among the other layers.
    stacked = []
    for slot in sorted(set().union(*layers_by_slot)):
        members = [layers.get(slot) for layers in layers_by_slot]
        if slot.kind == "Parallel":
            stacked.append(_stacked_branches(slot, members, planned, layers))
            continue
        stacked.append(_stacked(slot, members, planned))
        if slot.is_layer:
            layers[slot.path] = stacked[-1]
    return stacked


def _stacked_branches(
    slot: _Slot, members: Sequence[nn.Module | None], planned: Mapping[str, Layer], layers: dict[str, nn.Module]
) -> nn.Module:
    first = members[0]
    names = [None if layer is None else [name for name, _ in layer.named_children()] for layer in members]
    joins = {getattr(layer, "join", None) for layer in members}
    if not isinstance(first, Parallel) or len(joins) > 1 or any(other != names[0] for other in names):
        raise ValueError(f"the networks of a stack must have the same branches, but differ in {slot.path}")
    branches = {
        name: nn.Sequential(
            *_stacked_layers([layer.get_submodule(name) for layer in members if layer is not None],
                             f"{slot.path}.{name}.", planned, layers)
        )
        for name in names[0] or ()
    }  # fmt: skip
    return Parallel(branches, "add") if first.join == "add" else MemberParallel(branches, first.join, len(members))


def _slots(network: nn.Module, prefix: str) -> dict[_Slot, nn.Module]:
    slots, preceding = {}, 0
    for path, layer in _leaves(network, prefix):
        kind = type(layer).__name__
        is_layer = type(layer) not in (nn.Dropout, nn.Dropout2d)
        slots[_Slot(preceding, is_layer, path, kind)] = layer
        preceding += is_layer
    return slots


def _stacked(slot: _Slot, members: Sequence[nn.Module | None], planned: Mapping[str, Layer]) -> nn.Module:
    """The layer that computes all layers of `members`; None stands for a member without this dropout."""
    path, kind = slot.path, slot.kind
    if not slot.is_layer:
        rates = [0.0 if layer is None else cast("nn.Dropout", layer).p for layer in members]
        if len(set(rates)) > 1:
            return MemberDropout(rates, channel=kind == "Dropout2d")
        return nn.Dropout2d(rates[0]) if kind == "Dropout2d" else nn.Dropout(rates[0])
    layers = [layer for layer in members if layer is not None]
    if len(layers) < len(members) or len({_signature(layer) for layer in layers}) > 1:
        raise ValueError(f"the networks of a stack must have the same layers, but differ in {path} ({kind})")
    first, count, layer = layers[0], len(layers), planned[path]
    if not is_stackable(layer):
        raise ValueError(f"{path} is a {kind}, which cannot be stacked")
    if isinstance(first, nn.Flatten):
        return MemberFlatten(count)
    if isinstance(first, nn.Linear):
        return _with_values(MemberLinear(count, first.in_features, first.out_features), layers)
    return _with_values(_wider(layer, count), layers)


def _wider(layer: Layer, count: int) -> nn.Module:
    """The module of `layer` for the channels of `count` members, initialised without changing torch's random state."""
    counts = {name: count * cast("int", layer.arguments[name]) for name in layer.channel_counts or ()}
    with torch.random.fork_rng(devices=[]):
        return build_layer(replace(layer, arguments={**layer.arguments, **counts}))


def _signature(layer: nn.Module) -> str:
    """What the layers of different members must have in common."""
    return f"{layer!r} {[(name, value.shape, value.dtype) for name, value in layer.state_dict().items()]}"


def _with_values(stacked: nn.Module, layers: Sequence[nn.Module]) -> nn.Module:
    """`stacked` with the concatenated parameters and buffers of `layers`."""
    for name, parameter in layers[0].named_parameters():
        values = torch.cat([layer.get_parameter(name).detach() for layer in layers])
        _assign(stacked, name, nn.Parameter(values, requires_grad=parameter.requires_grad))
    for name, buffer in layers[0].named_buffers():
        is_counter = not buffer.dim()  # batch norm's batch counter, equal for all members
        values = buffer.clone() if is_counter else torch.cat([layer.get_buffer(name) for layer in layers])
        _assign(stacked, name, values)
    return stacked


def _assign(module: nn.Module, name: str, value: Tensor) -> None:
    """Set the parameter or buffer `name` of `module`, which can be one of a module in it."""
    owner, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(owner), attribute, value)
