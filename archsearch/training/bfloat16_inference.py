"""Inference in bfloat16 on the CPU, with the predictions of float32."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from archsearch.model.layers import Parallel
from archsearch.training.layers import is_sequence

_CLOSE = 1 / 16  # of the largest logit: two logits that are closer than this could change places by rounding
# Layers that are as fast in bfloat16, or faster. torch's norms are slower.
_FAST = (nn.Conv2d, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Identity)


def in_bfloat16(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """What the folded `network` computes, from images (N, channels, height, width) to logits (N, classes), in bfloat16.

    Images whose two largest logits are close are computed once more in float32, so that predictions are those of
    `network`. All other logits are rounded to bfloat16. Returns `network` itself if it has layers that are slower in
    bfloat16, or that archsearch does not know.
    """
    if not _is_fast(network):
        return network
    rounded = copy.deepcopy(network).to(torch.bfloat16)

    def forward(images: Tensor) -> Tensor:
        logits: Tensor = rounded(images.to(torch.bfloat16)).to(images.dtype)
        highest = logits.topk(2, dim=1).values
        close = highest[:, 0] - highest[:, 1] < _CLOSE * logits.abs().amax(dim=1)
        if close.any():
            logits[close] = network(images[close].contiguous(memory_format=torch.channels_last))
        return logits

    return forward


def _is_fast(module: nn.Module) -> bool:
    if is_sequence(module) or isinstance(module, Parallel):
        return all(map(_is_fast, module.children()))
    return isinstance(module, _FAST)
