"""The layers of K members side by side, where torch's own do not do.

Images are (batch, K * channels, height, width), member k's channels from k * channels on; behind `MemberFlatten`,
features are (K, batch, features).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MemberFlatten(nn.Module):
    """(batch, K * channels, height, width) -> (K, batch, channels * height * width), each member's as Flatten's."""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = members

    def forward(self, images: Tensor) -> Tensor:
        return torch.unflatten(images, 1, (self.members, -1)).transpose(0, 1).flatten(2)


class MemberLinear(nn.Module):
    """K linear layers: (K, batch, in_features) -> (K, batch, out_features).

    `weight` (K * out_features, in_features) and `bias` (K * out_features,), if they have any, are to be set: those of
    nn.Linear, one member's behind the other's.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.members, self.in_features, self.out_features = members, in_features, out_features
        for name in ("weight", "bias"):  # in nn.Linear's order, which optimizers keep
            self.register_parameter(name, None)

    def forward(self, features: Tensor) -> Tensor:
        weight = torch.unflatten(self.weight, 0, (self.members, -1)).transpose(1, 2)
        if self.bias is None:
            return torch.bmm(features, weight)
        return torch.baddbmm(torch.unflatten(self.bias, 0, (self.members, 1, -1)), features, weight)


class MemberDropout(nn.Dropout):
    """Dropout with each member's own rate, of single values or (`channel`) of whole channels.

    Is a Dropout to whoever leaves dropout out, as `folded` does. One draw serves all members: what one of them drops
    depends on how many there are, how much it drops does not.
    """

    def __init__(self, rates: Sequence[float], channel: bool) -> None:
        super().__init__(max(rates))
        self.rates, self.channel = tuple(rates), channel
        keep = 1 - torch.tensor(rates, dtype=torch.float32)
        self.register_buffer("keep", keep, persistent=False)
        self.register_buffer("scale", 1 / keep, persistent=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 # as nn.Dropout has it
        if not self.training:
            return input
        if input.dim() == 3:  # behind MemberFlatten: members first
            return input * self._mask(input, input, (-1, 1, 1))
        apart = torch.unflatten(input, 1, (len(self.rates), -1))
        like = apart[..., :1, :1] if self.channel else apart
        return (apart * self._mask(apart, like, (-1, 1, 1, 1))).flatten(1, 2)

    def _mask(self, input: Tensor, like: Tensor, shape: tuple[int, ...]) -> Tensor:  # noqa: A002
        kept = torch.rand_like(like, dtype=torch.float32) < self.get_buffer("keep").view(shape)
        return (kept * self.get_buffer("scale").view(shape)).to(input.dtype)

    def extra_repr(self) -> str:
        """The rates, member by member."""
        return f"rates={self.rates}, channel={self.channel}"
