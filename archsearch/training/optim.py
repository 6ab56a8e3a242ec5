"""torch's optimizers and learning rate schedules, made from settings. Schedules advance once per step."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn, optim
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import lr_scheduler

from archsearch.config.recipe import SGD, Adam, Constant, Cosine, MultiStep, Optimizer, Scheduler

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


def make_optimizer(settings: Optimizer, network: nn.Module) -> optim.Optimizer:
    """The optimizer that `settings` describe, for the parameters of `network`."""
    groups = parameter_groups(settings, network)
    if isinstance(settings, SGD):
        return _without_compiler(optim.SGD)(
            groups,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
    assert isinstance(settings, Adam)
    cls = optim.Adam if settings.type == "adam" else optim.AdamW
    values = {"betas": settings.betas, "eps": settings.eps, "weight_decay": settings.weight_decay}
    return _without_compiler(cls)(groups, lr=settings.lr, **values)


@cache
def _without_compiler(optimizer: type[optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """A subclass of `optimizer` that does not import torch's compiler, which takes a second and is not used here.

    torch wraps these methods in functions that import it. Methods that it does not wrap stay as they are.
    """
    names = ("add_param_group", "load_state_dict", "state_dict", "step", "zero_grad")
    methods = {name: inspect.unwrap(getattr(optimizer, name)) for name in names}
    methods["step"] = torch.no_grad()(methods["step"])  # as the wrapper does
    return type(optimizer.__name__, (optimizer,), methods)


def parameter_groups(settings: Optimizer, network: nn.Module) -> list[dict[str, Any]]:
    """The parameters of `network` grouped by learning rate: first `lr` itself, then the rates scaled by a factor."""
    factors = {"weights": 1.0, "norms": settings.norm_lr_factor, "biases": settings.bias_lr_factor}
    grouped: dict[float, list[nn.Parameter]] = {1.0: []}
    for layer in network.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            kind = "norms" if isinstance(layer, _NORMS) else "biases" if name == "bias" else "weights"
            grouped.setdefault(factors[kind], []).append(parameter)
    return [{"params": parameters, "lr": settings.lr * factor} for factor, parameters in grouped.items()]


def make_scheduler(
    settings: Scheduler, optimizer: optim.Optimizer, *, epochs: int, steps_per_epoch: int
) -> lr_scheduler.LRScheduler:
    """The schedule that `settings` describe. Step it after each of the `epochs * steps_per_epoch` training steps."""
    steps = epochs * steps_per_epoch
    if isinstance(settings, Constant):
        return lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    if isinstance(settings, MultiStep):
        milestones = [epoch * steps_per_epoch for epoch in settings.milestones]
        return lr_scheduler.MultiStepLR(optimizer, milestones, settings.gamma)
    if isinstance(settings, Cosine):
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=settings.min_lr)
    return lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=settings.pct_start,
        div_factor=settings.div_factor,
        final_div_factor=settings.final_div_factor,
        anneal_strategy="linear" if settings.anneal_strategy == "linear" else "cos",
        cycle_momentum=settings.cycle_momentum,
    )
