"""Averaged weights."""

import pytest
import torch
from torch import nn

from archsearch.config.recipe import EMA, Lookahead
from archsearch.training.averaging import WeightAverage


def scalar(value: float) -> nn.Linear:
    """A network with a single weight."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def value_of(network: nn.Module) -> float:
    return float(next(network.parameters()).detach())


def follow(average: WeightAverage, network: nn.Linear, *values: float) -> None:
    """Train `network` to each of `values` in turn, and update the average."""
    for value in values:
        nn.init.constant_(network.weight, value)
        average.step()


def test_ema_follows_its_formula() -> None:
    network = scalar(0.0)
    average = WeightAverage(EMA(decay=0.9, every=2), network)
    expected = 0.0
    for step in range(1, 9):
        follow(average, network, float(step))
        if step % 2 == 0:
            decay = min(0.9, (1 + step // 2) / (10 + step // 2))
            expected = decay * expected + (1 - decay) * step
        assert value_of(average.network) == pytest.approx(expected)


def test_ema_leaves_the_trained_weights() -> None:
    network = scalar(0.0)
    follow(WeightAverage(EMA(decay=0.9, every=1), network), network, 1.0, 5.0)
    assert value_of(network) == 5


def test_lookahead_waits_for_its_interval() -> None:
    network = scalar(0.0)
    average = WeightAverage(Lookahead(alpha=0.25, every=2), network)
    follow(average, network, 4.0)
    assert (value_of(network), value_of(average.network)) == (4, 0)


def test_lookahead_resets_the_trained_weights_to_the_slow_ones() -> None:
    network = scalar(0.0)
    average = WeightAverage(Lookahead(alpha=0.25, every=2), network)
    follow(average, network, 4.0, 8.0)
    assert (value_of(network), value_of(average.network)) == (2, 2)


def test_batch_norm_statistics_are_averaged_with_the_weights() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    average = WeightAverage(Lookahead(alpha=1.0, every=1), network)
    network(torch.rand(4, 1, 5, 5, generator=torch.Generator().manual_seed(0)) + 3)
    average.step()
    statistics = average.network.state_dict()["1.running_mean"]
    assert torch.equal(statistics, network.state_dict()["1.running_mean"])
    assert statistics.any()


def test_an_average_continues_from_its_state() -> None:
    settings = EMA(decay=0.5, every=3)
    network, other = scalar(1.0), scalar(1.0)
    uninterrupted, interrupted = WeightAverage(settings, network), WeightAverage(settings, other)
    follow(uninterrupted, network, 2.0, 3.0, 4.0)
    follow(interrupted, other, 2.0, 3.0)
    resumed = WeightAverage(settings, other)
    resumed.load_state_dict(interrupted.state_dict())
    follow(resumed, other, 4.0)
    assert value_of(resumed.network) == value_of(uninterrupted.network) != 1
