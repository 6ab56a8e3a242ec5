"""The state of a stack's member in the format of `Trainer`, so that a member can continue without the stack."""

from typing import Any

from torch import Tensor

from archsearch.training.optim import make_optimizer
from archsearch.training.stacked.network import Stack
from archsearch.training.stacked.optimizers import Place
from archsearch.training.stacked.trainer import StackedTrainer


def member_state(stack: StackedTrainer, number: int) -> dict[str, Any]:
    """The state of member `number`, counted from 0, as `Trainer.state_dict` would return it."""
    network = stack.network.member(number)
    optimizer = make_optimizer(stack.optimizers[number], network)
    place = stack.places[number]
    groups = slice(place.group, place.group + len(optimizer.param_groups))
    for group, stacked in zip(optimizer.param_groups, stack.optimizer.param_groups[groups], strict=True):
        parameters = group["params"]
        views = stacked["params"][place.preceding * len(parameters) :][: len(parameters)]
        group.update({name: value for name, value in stacked.items() if name != "params"})
        for parameter, view in zip(parameters, views, strict=True):
            state = stack.optimizer.state.get(view, {})
            optimizer.state[parameter] = {name: _member_part(value, number, place) for name, value in state.items()}
    schedule = stack.scheduler.state_dict()
    by_group = {name: schedule[name][groups] for name in ("base_lrs", "_last_lr")}
    average = None
    if stack.average is not None:
        assert isinstance(stack.average.network, Stack)
        weights = stack.average.network.member(number).state_dict()
        average = {**stack.average.state_dict(), "network": weights}
    return {
        "epoch": stack.epoch,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": {**schedule, **by_group},
        "average": average,
    }


def _member_part(value: Any, number: int, place: Place) -> Any:
    """A member's part of an optimizer's state for a parameter."""
    if not isinstance(value, Tensor) or not value.dim():  # Adam's step counter
        return value
    size = len(value) // (place.end - place.begin)
    return value[(number - place.begin) * size :][:size].clone()
