"""Inference in bfloat16 on the CPU, with the predictions of float32.

torch's ReLU and pooling take as long as a quarter of the convolutions in bfloat16. Here they are other operations of
torch with the same results, several times as fast (docs/speed.md).
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from archsearch.model.layers import Parallel
from archsearch.training.layers import halves, is_plain, is_sequence

_CLOSE = 1 / 16  # of the largest logit: two logits that are closer than this could change places by rounding
_AT_ONCE = 16  # close images per call: oneDNN prepares a convolution for each new batch size, which takes milliseconds
# Layers that are as fast in bfloat16, or faster. torch's norms are slower.
_FAST = (nn.Conv2d, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Identity)


def in_bfloat16(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """What the folded `network` computes, from images (N, channels, height, width) to logits (N, classes), in bfloat16.

    Images whose two largest logits are close are computed once more in float32, so that predictions are those of
    `network`. All other logits are rounded to bfloat16. Where values could overflow, float32 computes all. Returns
    `network` itself if it has hooks, or layers that are slower in bfloat16 or that archsearch does not know.
    """
    if not is_plain(network) or not _is_fast(network):
        return network
    rounded = with_fast_layers(copy.deepcopy(network).to(torch.bfloat16))
    safe = -1.0  # no pixel up to this makes values overflow

    def forward(images: Tensor) -> Tensor:
        nonlocal safe
        largest = images.abs().max()
        if not largest <= safe:
            if not _stays_finite(network, largest.expand(1, *images.shape[1:]).clone()):
                return network(images)  # type: ignore[no-any-return]
            safe = float(largest)
        logits: Tensor = rounded(images.to(torch.bfloat16)).to(images.dtype)
        highest = logits.topk(2, dim=1).values
        close = (highest[:, 0] - highest[:, 1] < _CLOSE * logits.abs().amax(dim=1)).nonzero().flatten()
        count = min(_AT_ONCE, len(images))
        for start in range(0, len(close), count):
            chosen = close[start : start + count]
            again = images[functional.pad(chosen, (0, count - len(chosen)))]
            logits[chosen] = network(again.contiguous(memory_format=torch.channels_last))[: len(chosen)]
        return logits

    return forward


def _stays_finite(network: nn.Module, image: Tensor) -> bool:
    """Whether no value in `network` overflows for an image whose pixels are no larger than those of `image`.

    With absolute weights, each layer computes an upper bound of its absolute values.
    """
    weights = {name: parameter.abs() for name, parameter in network.named_parameters()}
    return bool(functional_call(network, weights, (image,)).isfinite().all())


def _is_fast(module: nn.Module) -> bool:
    if is_sequence(module) or isinstance(module, Parallel):
        return all(map(_is_fast, module.children()))
    return isinstance(module, _FAST)


def with_fast_layers(module: nn.Module) -> nn.Module:
    """The bfloat16 network `module`, with layers in place of torch's slow ones."""
    if is_sequence(module):
        return nn.Sequential(*map(with_fast_layers, module))
    if isinstance(module, Parallel):
        return module.with_branches(with_fast_layers)
    if type(module) is nn.ReLU:
        return _ReLU(module.inplace)
    if halves(module):
        return _MaxPool() if isinstance(module, nn.MaxPool2d) else _AvgPool()
    return module


class _ReLU(nn.Module):
    """A negative number in bfloat16 is also negative as an integer of 16 bits, and those have fast comparisons.

    So is nan with a sign, which becomes 0.
    """

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, images: Tensor) -> Tensor:
        bits = images.view(torch.int16)
        if self.inplace:
            bits.clamp_(min=0)
            return images
        return bits.clamp(min=0).view(torch.bfloat16)


class _MaxPool(nn.Module):
    """The maxima of rows, then of columns."""

    def forward(self, images: Tensor) -> Tensor:
        height, width = (size // 2 * 2 for size in images.shape[-2:])
        rows = torch.maximum(images[..., 0:height:2, :], images[..., 1:height:2, :])
        return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


class _AvgPool(nn.Module):
    """A convolution of each channel; a quarter is exact in bfloat16, and sums are in float32."""

    def forward(self, images: Tensor) -> Tensor:
        channels = images.shape[1]
        quarters = images.new_full((channels, 1, 2, 2), 0.25)
        return functional.conv2d(images, quarters, stride=2, groups=channels)
