"""Layers of K members side by side, where torch's own layers do not suffice.

Images are (batch, K * channels, height, width), with member k's channels starting at k * channels. After
`MemberFlatten`, features are (K, batch, features).
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from archsearch.model.layers import Parallel
from archsearch.model.tree import Join


class MemberParallel(Parallel):
    """Branches joined member by member: (batch, K * channels, height, width), for each branch.

    A branch of one channel a member multiplies all channels of that member.
    """

    def __init__(self, branches: Mapping[str, nn.Module], join: Join, members: int) -> None:
        super().__init__(branches, join)
        self.members = members

    def with_branches(self, transform: Callable[[nn.Module], nn.Module]) -> "MemberParallel":
        """The same join of transformed branches."""
        return MemberParallel(
            {name: transform(branch) for name, branch in self.named_children()}, self.join, self.members
        )

    def forward(self, images: Tensor) -> Tensor:
        outputs = [torch.unflatten(branch(images), 1, (self.members, -1)) for branch in self.children()]
        return self.joined(outputs, channels=2).flatten(1, 2)


class MemberFlatten(nn.Module):
    """`nn.Flatten` per member: (batch, K * channels, height, width) -> (K, batch, channels * height * width)."""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = members

    def forward(self, images: Tensor) -> Tensor:
        return torch.unflatten(images, 1, (self.members, -1)).transpose(0, 1).flatten(2)


class MemberLinear(nn.Module):
    """K linear layers: (K, batch, in_features) -> (K, batch, out_features).

    The caller sets `weight` (K * out_features, in_features) and `bias` (K * out_features,) or None: the members'
    `nn.Linear` tensors, concatenated.
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
    """Dropout with a rate per member, of single values or (if `channel`) of whole channels.

    Subclasses `nn.Dropout`, so that code that removes dropout, such as `folded`, removes it too. All members share one
    random stream: which values a member drops depends on the number of members; its rate does not.
    """

    def __init__(self, rates: Sequence[float], channel: bool) -> None:
        super().__init__(max(rates))
        self.rates, self.channel = tuple(rates), channel
        keep = 1 - torch.tensor(rates, dtype=torch.float32)
        self.register_buffer("keep", keep, persistent=False)
        self.register_buffer("scale", 1 / keep, persistent=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 # as in nn.Dropout
        if not self.training:
            return input
        if input.dim() == 3:  # after MemberFlatten, members come first
            return input * self._mask(input, input, (-1, 1, 1))
        members = torch.unflatten(input, 1, (len(self.rates), -1))
        pattern = members[..., :1, :1] if self.channel else members
        return (members * self._mask(members, pattern, (-1, 1, 1, 1))).flatten(1, 2)

    def _mask(self, values: Tensor, pattern: Tensor, shape: tuple[int, ...]) -> Tensor:
        kept = torch.rand_like(pattern, dtype=torch.float32) < self.get_buffer("keep").view(shape)
        return (kept * self.get_buffer("scale").view(shape)).to(values.dtype)

    def extra_repr(self) -> str:
        """The rate of each member."""
        return f"rates={self.rates}, channel={self.channel}"
