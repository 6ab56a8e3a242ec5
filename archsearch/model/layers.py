"""The layers of networks that torch does not have. A network of them can be loaded wherever archsearch is installed."""

from collections.abc import Callable, Mapping
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.model.tree import Join


class Parallel(nn.Module):
    """Branches that see the same input, joined: added, multiplied, or concatenated along the channels.

    (batch, channels, height, width) -> (batch, channels', height', width'). Branches are submodules by name.
    """

    def __init__(self, branches: Mapping[str, nn.Module], join: Join) -> None:
        super().__init__()
        self.join = join
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, images: Tensor) -> Tensor:
        return self.joined([branch(images) for branch in self.children()], channels=1)

    def joined(self, outputs: list[Tensor], channels: int) -> Tensor:
        """The join of the branches' outputs, whose channels are the axis `channels`."""
        if self.join == "concat":
            return torch.cat(outputs, dim=channels)
        joined: Tensor = reduce(torch.add if self.join == "add" else torch.mul, outputs)
        return joined

    def with_branches(self, transform: Callable[[nn.Module], nn.Module]) -> "Parallel":
        """The same join of transformed branches."""
        return Parallel({name: transform(branch) for name, branch in self.named_children()}, self.join)

    def extra_repr(self) -> str:
        """How the branches are joined."""
        return f"join={self.join}"


class StochasticDepth(nn.Module):
    """In training, drop all values of an image with probability `p`, and scale those of the others by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return images
        kept = torch.empty(len(images), *[1] * (images.dim() - 1), dtype=images.dtype, device=images.device)
        return images * kept.bernoulli_(1 - self.p).div_(1 - self.p)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class BlurPool2d(nn.Module):
    """A binomial filter of `kernel_size` x `kernel_size` per channel, then every `stride`-th pixel.

    The image is reflected at its border. Zhang, "Making convolutional networks shift-invariant again",
    arXiv:1904.11486.
    """

    kernel: Tensor

    def __init__(self, channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.channels, self.kernel_size, self.stride = channels, kernel_size, stride
        row = torch.ones(1, dtype=torch.float64)
        for _ in range(kernel_size - 1):
            row = functional.pad(row, (0, 1)) + functional.pad(row, (1, 0))
        kernel = torch.outer(row, row) / row.sum() ** 2
        self.register_buffer("kernel", kernel.float().expand(channels, 1, -1, -1).clone(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        around = (self.kernel_size - 1) // 2
        padded = functional.pad(images, (around,) * 4, mode="reflect") if around else images
        return functional.conv2d(padded, self.kernel.to(images.dtype), stride=self.stride, groups=self.channels)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.channels}, kernel_size={self.kernel_size}, stride={self.stride}"


class PadChannels(nn.Module):
    """Every `stride`-th pixel, with channels of zeros on both sides up to `out_channels`; an odd one is at the end."""

    def __init__(self, in_channels: int, out_channels: int, stride: int | tuple[int, int]) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.stride = (stride, stride) if isinstance(stride, int) else tuple(stride)

    def forward(self, images: Tensor) -> Tensor:
        missing = self.out_channels - self.in_channels
        down, across = self.stride
        return functional.pad(images[:, :, ::down, ::across], (0, 0, 0, 0, missing // 2, missing - missing // 2))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"


class ChannelStatistics(nn.Module):
    """The mean and the maximum over the channels: (batch, channels, height, width) -> (batch, 2, height, width)."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean(dim=1, keepdim=True), images.amax(dim=1, keepdim=True)], dim=1)
