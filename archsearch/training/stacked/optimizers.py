"""One torch optimizer for a stack, with each member's settings as parameter groups.

Members with equal settings share their groups, and adjacent ones among them share their tensors. A stack whose members
differ only in their seeds is thus one group over whole tensors. Each further group costs time in Python at every step.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import nn, optim

from archsearch.config.recipe import Optimizer
from archsearch.training.optim import make_optimizer
from archsearch.training.stacked.network import Stack


@dataclass(frozen=True)
class Place:
    """Where a stack's optimizer keeps a member's parameters."""

    group: int  # index of its first group
    preceding: int  # how many tensors of each parameter come before the member's in that group
    begin: int  # first of the members that share the tensors
    end: int  # one past the last of them


def make_stacked_optimizer(settings: Sequence[Optimizer], stack: Stack) -> tuple[optim.Optimizer, list[Place]]:
    """An optimizer that trains each member of `stack` with its own of `settings`; also returns each member's place.

    Its parameters and gradients are views of the stack's. The gradients must exist, and both must stay in place. Raises
    `ValueError` if the settings differ in type.
    """
    optimizer: optim.Optimizer | None = None
    places: dict[int, Place] = {}
    for distinct in dict.fromkeys(settings):
        ranges = _ranges([number for number, other in enumerate(settings) if other == distinct])
        partial = make_optimizer(distinct, nn.ModuleList(_views(stack, begin, end) for begin, end in ranges))
        group = 0 if optimizer is None else len(optimizer.param_groups)
        for preceding, (begin, end) in enumerate(ranges):
            places |= {number: Place(group, preceding, begin, end) for number in range(begin, end)}
        if optimizer is None:
            optimizer = partial
            continue
        if type(partial) is not type(optimizer):
            raise ValueError("members of a stack must have the same optimizer.type")
        for added in partial.param_groups:
            optimizer.add_param_group(added)
    assert optimizer is not None
    return optimizer, [places[number] for number in range(len(settings))]


def _ranges(members: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as half-open ranges: 0, 1, 2, 5 is (0, 3), (5, 6)."""
    ranges = []
    for _, group in groupby(enumerate(members), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in group]
        ranges.append((numbers[0], numbers[-1] + 1))
    return ranges


def _views(stack: Stack, begin: int, end: int) -> nn.ModuleList:
    """The stack's layers with views of the parameters of the members `begin` to `end - 1`."""
    layers = nn.ModuleList()
    for layer in stack:
        shell = copy.copy(layer)  # keeps the class, which decides a parameter's learning rate
        shell._parameters = {}
        for name, parameter in layer.named_parameters(recurse=False):
            assert parameter.grad is not None
            view = nn.Parameter(stack.part(parameter.detach(), begin, end))
            view.grad = stack.part(parameter.grad, begin, end)
            shell._parameters[name] = view
        layers.append(shell)
    return layers
