"""K networks -> one that computes them all, and back.

Every parameter and every statistic of the one is the members' own, one behind the other along the first axis: member k
of K has the k-th of K equal parts.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from archsearch.training.stacked.layers import MemberDropout, MemberFlatten, MemberLinear
from archsearch.training.stacked.rules import CHANNELWISE, DROPOUTS

# What a layer counts in channels or groups: K times as many in a stack.
_COUNTS = {
    "Conv2d": ("in_channels", "out_channels", "groups"),
    "BatchNorm2d": ("num_features",),
    "InstanceNorm2d": ("num_features",),
    "GroupNorm": ("num_groups", "num_channels"),
}
_Place = tuple[int, bool, str, str]  # layers before it, whether it is one itself (not dropout), its path, its kind


class Stack(nn.Sequential):
    """`networks` as one: images (batch, K * channels, height, width) -> logits (K, batch, classes).

    The networks must be alike but for their weights and their dropout (`rules.why_not_stackable` says whether they
    are); raises `ValueError` where they are not. Their weights are copied.
    """

    def __init__(self, networks: Sequence[nn.Sequential]) -> None:
        found = [_places(network) for network in networks]
        # Sorted by what comes before it, a dropout that only some members have takes its place among the others.
        places = sorted(set().union(*found))
        super().__init__(*(_stacked(place, [layers.get(place) for layers in found]) for place in places))
        self.members = len(networks)
        self._place_of = {place[2]: number for number, place in enumerate(places) if place[1]}
        self._templates = [copy.deepcopy(network).to("meta") for network in networks]

    def member(self, number: int) -> nn.Sequential:
        """Member `number`, counted from 0, as the network that it would be alone, with copies of its weights."""
        network = copy.deepcopy(self._templates[number])
        for path, layer in _leaves(network):
            if path not in self._place_of:
                continue
            stacked = self[self._place_of[path]]
            for name, parameter in stacked.named_parameters():
                value = self.part(parameter.detach(), number, number + 1).clone()
                setattr(layer, name, nn.Parameter(value, requires_grad=parameter.requires_grad))
            for name, buffer in stacked.named_buffers():
                setattr(layer, name, self.part(buffer, number, number + 1).clone())
        return network.train(self.training)

    def part(self, value: Tensor, begin: int, end: int) -> Tensor:
        """The view of a parameter, gradient or buffer that belongs to the members from `begin` up to `end`."""
        if not value.dim():  # batch norm's count of batches
            return value
        each = len(value) // self.members
        return value[begin * each : end * each]


def _leaves(network: nn.Sequential) -> Iterator[tuple[str, nn.Module]]:
    for path, layer in network.named_modules():
        if not isinstance(layer, nn.Sequential):
            yield path, layer


def _places(network: nn.Sequential) -> dict[_Place, nn.Module]:
    places, before = {}, 0
    for path, layer in _leaves(network):
        kind = type(layer).__name__
        is_layer = kind not in DROPOUTS
        places[before, is_layer, path, kind] = layer
        before += is_layer
    return places


def _stacked(place: _Place, theirs: Sequence[nn.Module | None]) -> nn.Module:
    """The layer that does what `theirs` do; None is a member that has no such dropout."""
    _, is_layer, path, kind = place
    if not is_layer:
        rates = [0.0 if layer is None else cast("nn.Dropout", layer).p for layer in theirs]
        if len(set(rates)) > 1:
            return MemberDropout(rates, channel=kind == "Dropout2d")
        return nn.Dropout2d(rates[0]) if kind == "Dropout2d" else nn.Dropout(rates[0])
    layers = [layer for layer in theirs if layer is not None]
    if len(layers) < len(theirs) or len({_outline(layer) for layer in layers}) > 1:
        raise ValueError(f"networks that are stacked must have the same layers, and differ in {path} ({kind})")
    first, members = layers[0], len(layers)
    if isinstance(first, nn.Flatten):
        return MemberFlatten(members)
    if isinstance(first, nn.Linear):
        return _with_values(MemberLinear(members, first.in_features, first.out_features), layers)
    if kind not in _COUNTS and kind not in CHANNELWISE:
        raise ValueError(f"{path} is a {kind}, which cannot be stacked")
    wider = copy.deepcopy(first)
    for name in _COUNTS.get(kind, ()):
        setattr(wider, name, members * getattr(first, name))
    return _with_values(wider, layers)


def _outline(layer: nn.Module) -> str:
    """What layers that can be stacked have in common."""
    return f"{layer!r} {[(name, value.shape, value.dtype) for name, value in layer.state_dict().items()]}"


def _with_values(stacked: nn.Module, layers: Sequence[nn.Module]) -> nn.Module:
    """`stacked` with the parameters and buffers of `layers`, one behind the other."""
    for name, parameter in layers[0].named_parameters():
        values = torch.cat([layer.get_parameter(name).detach() for layer in layers])
        setattr(stacked, name, nn.Parameter(values, requires_grad=parameter.requires_grad))
    for name, buffer in layers[0].named_buffers():
        same = not buffer.dim()  # batch norm's count of batches
        values = buffer.clone() if same else torch.cat([layer.get_buffer(name) for layer in layers])
        setattr(stacked, name, values)
    return stacked
