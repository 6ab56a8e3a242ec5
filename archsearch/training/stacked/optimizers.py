"""One torch optimizer for a stack, with each member's own settings as parameter groups.

Members with the same settings share their groups, and neighbours among them share their tensors, so a stack that
differs in its seeds only is one group over whole tensors. The more settings there are, the more groups an optimizer has
to walk through in Python, at every step.
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
    """Where a member's parameters are in a stack's optimizer."""

    group: int  # its first one
    neighbours: int  # how many tensors of each parameter are before its own, in that group
    begin: int  # the members whose tensors are one, from this one
    end: int  # up to this one


def make_stacked_optimizer(settings: Sequence[Optimizer], stack: Stack) -> tuple[optim.Optimizer, list[Place]]:
    """An optimizer whose groups train each member of `stack` with its own of `settings`, all of one type.

    Its parameters are views of the stack's parameters, their gradients views of the stack's gradients: those must be
    there, and both must stay where they are. Also returns each member's place.
    """
    optimizer: optim.Optimizer | None = None
    places: dict[int, Place] = {}
    for one in dict.fromkeys(settings):
        runs = _runs([number for number, other in enumerate(settings) if other == one])
        own = make_optimizer(one, nn.ModuleList(_views(stack, begin, end) for begin, end in runs))
        group = 0 if optimizer is None else len(optimizer.param_groups)
        for before, (begin, end) in enumerate(runs):
            places |= {number: Place(group, before, begin, end) for number in range(begin, end)}
        if optimizer is None:
            optimizer = own
            continue
        if type(own) is not type(optimizer):
            raise ValueError("members of a stack must have the same optimizer.type")
        for added in own.param_groups:
            optimizer.add_param_group(added)
    assert optimizer is not None
    return optimizer, [places[number] for number in range(len(settings))]


def _runs(members: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges: 0, 1, 2, 5 is (0, 3), (5, 6)."""
    runs = []
    for _, group in groupby(enumerate(members), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in group]
        runs.append((numbers[0], numbers[-1] + 1))
    return runs


def _views(stack: Stack, begin: int, end: int) -> nn.ModuleList:
    """The stack's layers with the parameters of the members from `begin` up to `end` only, as views."""
    layers = nn.ModuleList()
    for layer in stack:
        shell = copy.copy(layer)  # of the same class, by which rates are told apart
        shell._parameters = {}
        for name, parameter in layer.named_parameters(recurse=False):
            assert parameter.grad is not None
            view = nn.Parameter(stack.part(parameter.detach(), begin, end))
            view.grad = stack.part(parameter.grad, begin, end)
            shell._parameters[name] = view
        layers.append(shell)
    return layers
