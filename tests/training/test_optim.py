"""Schedules, step by step, against their formulas."""

import math

import pytest
import torch
from torch import nn

from archsearch.config.recipe import SGD, Adam, Constant, Cosine, MultiStep, OneCycle, Scheduler
from archsearch.training.optim import make_optimizer, make_scheduler

EPOCHS, STEPS = 4, 10


def rates(settings: Scheduler, lr: float = 0.5) -> list[float]:
    """The learning rate of each step of a whole run."""
    optimizer = make_optimizer(SGD(lr=lr, momentum=0.9), nn.Linear(1, 1, bias=False))
    scheduler = make_scheduler(settings, optimizer, epochs=EPOCHS, steps_per_epoch=STEPS)
    found = []
    for _ in range(EPOCHS * STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant() -> None:
    assert rates(Constant()) == [0.5] * 40


def test_multistep_counts_epochs_trained() -> None:
    assert rates(MultiStep(milestones=(1, 3), gamma=0.1)) == pytest.approx([0.5] * 10 + [0.05] * 20 + [0.005] * 10)


def test_cosine_follows_half_a_cosine() -> None:
    expected = [0.1 + 0.4 * (1 + math.cos(math.pi * step / 40)) / 2 for step in range(40)]
    assert rates(Cosine(min_lr=0.1)) == pytest.approx(expected)


def test_one_cycle_climbs_to_the_peak_and_ends_near_nothing() -> None:
    found = rates(OneCycle(pct_start=0.3, div_factor=25.0, final_div_factor=1e4))
    assert found[0] == pytest.approx(0.5 / 25) and max(found) == pytest.approx(0.5) and found.index(max(found)) == 11
    assert found[-1] == pytest.approx(0.5 / 25 / 1e4)


@pytest.mark.parametrize(("kind", "cls"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adams(kind: str, cls: type[torch.optim.Optimizer]) -> None:
    settings = Adam(type=kind, lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.2)  # type: ignore[arg-type]
    optimizer = make_optimizer(settings, nn.Linear(1, 1, bias=False))
    assert type(optimizer) is cls
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.1, (0.8, 0.9), 1e-6, 0.2)


def test_sgd() -> None:
    settings = SGD(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.3)
    group = make_optimizer(settings, nn.Linear(1, 1, bias=False)).param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.8, True, 0.3)
