"""ReLU, batch norm and channel dropout as one layer: values are read twice and written once, forward and backward.

torch's own take eight passes forward and ten backward, over tensors that no cache holds: a third of the time of
training a small network. Statistics are summed in double precision over the batch.
"""

from math import inf, lcm
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from archsearch.training.fused import kernels

_VECTOR = 16  # floats in the widest register


class FusedNorm(nn.Module):
    """What `norm` does in training, behind a ReLU if `rectify`, and before `dropout` if there is one.

    (batch, channels, height, width) -> the same shape, in channels_last. Draws the same random numbers as torch's
    dropout, and moves the running statistics of `norm`.
    """

    def __init__(self, norm: nn.BatchNorm2d, dropout: nn.Dropout2d | None, *, rectify: bool) -> None:
        super().__init__()
        self.norm, self.dropout = norm, dropout
        self.low = 0.0 if rectify else -inf

    def forward(self, images: Tensor) -> Tensor:
        norm, count = self.norm, len(images)
        kept = torch.ones(count, norm.num_features)
        if self.dropout is not None:
            kept.bernoulli_(1 - self.dropout.p).div_(1 - self.dropout.p)
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        outputs = _Function.apply(images, norm.weight, norm.bias, kept, norm, self.low)
        assert isinstance(outputs, Tensor)
        return outputs


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, kept: Tensor, norm: nn.BatchNorm2d, low: float
    ) -> Tensor:
        count, channels = kept.shape
        pixels = images.permute(0, 2, 3, 1).contiguous()
        outputs = torch.empty_like(pixels)
        mean, deviation = np.empty(channels), np.empty(channels)
        factors = np.empty((count, lcm(channels, _VECTOR)), np.float32)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.momentum is not None
        kernels.forward(
            _flat(pixels), np.float32(low), norm.eps, norm.momentum, _flat(weight), _flat(bias),
            _flat(norm.running_mean), _flat(norm.running_var), kept.numpy(), mean, deviation, factors, _flat(outputs),
        )  # fmt: skip
        ctx.save_for_backward(pixels, weight)
        ctx.rest = np.float32(low), kept.numpy(), mean, deviation, factors
        return outputs.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, ...]:
        pixels, weight = ctx.saved_tensors
        low, kept, mean, deviation, factors = ctx.rest
        incoming = gradients.permute(0, 2, 3, 1).contiguous()
        outputs, of_weight, of_bias = torch.empty_like(pixels), torch.empty_like(weight), torch.empty_like(weight)
        kernels.backward(
            _flat(incoming), _flat(pixels), low, _flat(weight), kept, mean, deviation, factors,
            _flat(of_weight), _flat(of_bias), _flat(outputs),
        )  # fmt: skip
        return outputs.permute(0, 3, 1, 2), of_weight, of_bias, None, None, None


def _flat(pixels: Tensor) -> NDArray[np.float32]:
    """The memory of a contiguous tensor, to be read and written."""
    return pixels.detach().view(-1).numpy()
