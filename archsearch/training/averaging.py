"""Weight averaging during training: EMA and Lookahead. The averaged network is the one evaluated and kept."""

import copy

import torch
from torch import Tensor, nn

from archsearch.config.recipe import EMA, Averaging, Lookahead


# Not torch's AveragedModel: its first update copies, it cannot lerp integer buffers, and it renames checkpoint keys.
class WeightAverage:
    """A second set of weights and batch norm statistics that follows the trained ones.

    - EMA: average <- decay * average + (1 - decay) * trained. The decay of update n is at most (1 + n) / (10 + n), as
      in TensorFlow's ExponentialMovingAverage; otherwise the random initial weights would dominate for long.
    - Lookahead (Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", arXiv:1907.08610): the average holds
      the slow weights. They move `alpha` of the way to the trained weights, which are then reset to them.
    """

    def __init__(self, settings: EMA | Lookahead, network: nn.Module) -> None:
        self.settings = settings
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.steps = 0
        self._average, self._trained = _float_tensors(self.network), _float_tensors(network)

    @torch.no_grad()
    def step(self) -> None:
        """Update the average; call this after each optimizer step."""
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
        """The state that the next step depends on."""
        return {"network": self.network.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore a state returned by `state_dict`."""
        weights, steps = state["network"], state["steps"]
        assert isinstance(weights, dict)
        assert isinstance(steps, int)
        self.network.load_state_dict(weights)
        self.steps = steps


def make_average(settings: Averaging | None, network: nn.Module) -> WeightAverage | None:
    """The average that `settings` describe, starting from the weights of `network`; None if there is none."""
    return WeightAverage(settings, network) if isinstance(settings, EMA | Lookahead) else None


def _float_tensors(network: nn.Module) -> list[Tensor]:
    """The tensors to average. Batch norm's integer batch counter is left out; it only matters without momentum."""
    return [value for value in network.state_dict().values() if value.is_floating_point()]
