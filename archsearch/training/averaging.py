"""Averages of a network's weights over its training: what is evaluated and kept, where one is wanted."""

import copy

import torch
from torch import Tensor, nn

from archsearch.config.recipe import EMA, Averaging, Lookahead


class WeightAverage:
    """A second set of weights (and of batch norm's statistics) that follows the one being trained.

    - EMA: average <- decay * average + (1 - decay) * trained. In the first steps the decay is (1 + n) / (10 + n) at
      most, n being the updates so far, or the random start would stay in it for long (as TensorFlow's
      ExponentialMovingAverage has it).
    - Lookahead (Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", arXiv:1907.08610): the average is
      the slow weights; they move `alpha` of the way to the trained ones, which are then set to them.
    """

    def __init__(self, settings: EMA | Lookahead, network: nn.Module) -> None:
        self.settings = settings
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.steps = 0
        self._average, self._trained = _values(self.network), _values(network)

    @torch.no_grad()
    def step(self) -> None:
        """Follow one step of training."""
        self.steps += 1
        if self.steps % self.settings.every:
            return
        if isinstance(self.settings, Lookahead):
            torch._foreach_lerp_(self._average, self._trained, self.settings.alpha)
            torch._foreach_copy_(self._trained, self._average)
        else:
            updates = self.steps // self.settings.every
            decay = min(self.settings.decay, (1 + updates) / (10 + updates))
            torch._foreach_lerp_(self._average, self._trained, 1 - decay)

    def state_dict(self) -> dict[str, object]:
        """What the next step depends on."""
        return {"network": self.network.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from what `state_dict` gave."""
        weights, steps = state["network"], state["steps"]
        assert isinstance(weights, dict)
        assert isinstance(steps, int)
        self.network.load_state_dict(weights)
        self.steps = steps


def make_average(settings: Averaging | None, network: nn.Module) -> WeightAverage | None:
    """The average that `settings` describe, if any, of a network that is about to be trained."""
    return WeightAverage(settings, network) if isinstance(settings, EMA | Lookahead) else None


def _values(network: nn.Module) -> list[Tensor]:
    """The tensors that can be averaged; batch norm's count of batches cannot, and only matters without momentum."""
    return [value for value in network.state_dict().values() if value.is_floating_point()]
