"""Optimizers with their settings; schedules, step by step, against their formulas."""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from archsearch.config.recipe import SGD, Adam, Constant, Cosine, MultiStep, OneCycle, Optimizer, Scheduler
from archsearch.training.optim import make_optimizer, make_scheduler

EPOCHS, STEPS = 4, 10


def rates(settings: Scheduler) -> list[float]:
    """The learning rate of each step of a run with `lr` 0.5."""
    optimizer = make_optimizer(SGD(lr=0.5, momentum=0.9), nn.Linear(1, 1, bias=False))
    scheduler = make_scheduler(settings, optimizer, epochs=EPOCHS, steps_per_epoch=STEPS)
    values = []
    for _ in range(EPOCHS * STEPS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_a_constant_schedule_keeps_the_rate() -> None:
    assert rates(Constant()) == [0.5] * 40


def test_multistep_counts_epochs_trained() -> None:
    assert rates(MultiStep(milestones=(1, 3), gamma=0.1)) == pytest.approx([0.5] * 10 + [0.05] * 20 + [0.005] * 10)


def test_cosine_follows_half_a_cosine() -> None:
    expected = [0.1 + 0.4 * (1 + math.cos(math.pi * step / 40)) / 2 for step in range(40)]
    assert rates(Cosine(min_lr=0.1)) == pytest.approx(expected)


def test_one_cycle_climbs_to_the_peak_and_ends_near_zero() -> None:
    values = rates(OneCycle(pct_start=0.3, div_factor=25.0, final_div_factor=1e4))
    assert values[0] == pytest.approx(0.5 / 25)
    assert max(values) == values[11] == pytest.approx(0.5)
    assert values[-1] == pytest.approx(0.5 / 25 / 1e4)


@pytest.mark.parametrize(("kind", "cls"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam_and_adamw_get_their_settings(kind: str, cls: type[torch.optim.Optimizer]) -> None:
    settings = Adam(type=kind, lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.2)  # type: ignore[arg-type]
    optimizer = make_optimizer(settings, nn.Linear(1, 1, bias=False))
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (0.1, (0.8, 0.9), 1e-6, 0.2)
    assert type(optimizer).__base__ is cls


def test_sgd_gets_its_settings() -> None:
    settings = SGD(lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.3)
    group = make_optimizer(settings, nn.Linear(1, 1, bias=False)).param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.8, True, 0.3)


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        (SGD(lr=0.1, momentum=0.9), lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9)),
        (Adam(type="adamw", lr=0.1), lambda weights: torch.optim.AdamW(weights, lr=0.1, weight_decay=0)),
    ],
)
def test_steps_and_states_are_those_of_torchs_own_optimizer(
    settings: Optimizer, plain: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]
) -> None:
    layers = [nn.Linear(3, 2) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    ours, theirs = make_optimizer(settings, layers[0]), plain(layers[1].parameters())
    for _ in range(3):
        for layer, optimizer in zip(layers, (ours, theirs), strict=True):
            optimizer.zero_grad()
            layer(torch.ones(4, 3)).square().sum().backward()
            optimizer.step()
        ours.load_state_dict(ours.state_dict())
    for one, other in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        assert torch.equal(one, other)
    states = [optimizer.state_dict()["state"] for optimizer in (ours, theirs)]
    assert states[0].keys() == states[1].keys() and len(states[0]) == 2
    for state, other_state in zip(*(each.values() for each in states), strict=True):
        assert state.keys() == other_state.keys()
        assert all(torch.equal(state[key], other_state[key]) for key in state)


@pytest.mark.e2e
def test_training_does_not_import_torchs_compiler() -> None:
    code = """
import sys, torch
from archsearch.config.recipe import SGD, Adam, Cosine
from archsearch.training.optim import make_optimizer, make_scheduler
for settings in (SGD(lr=0.1), Adam(type="adam", lr=0.1), Adam(type="adamw", lr=0.1)):
    layer = torch.nn.Linear(1, 1)
    optimizer = make_optimizer(settings, layer)
    scheduler = make_scheduler(Cosine(), optimizer, epochs=1, steps_per_epoch=2)
    optimizer.zero_grad()
    layer(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    scheduler.step()
    optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))


def test_norms_and_biases_have_their_own_rates(network: nn.Sequential) -> None:
    optimizer = make_optimizer(SGD(lr=0.1, norm_lr_factor=4.0, bias_lr_factor=2.0), network)
    rate_of = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {name: rate_of[id(parameter)] for name, parameter in network.named_parameters()} == {
        "0.weight": 0.1, "2.weight": 0.1, "0.bias": 0.2, "2.bias": 0.2, "1.weight": 0.4, "1.bias": 0.4
    }  # fmt: skip


def test_equal_rates_share_one_parameter_group(network: nn.Sequential) -> None:
    assert len(make_optimizer(SGD(lr=0.1), network).param_groups) == 1
