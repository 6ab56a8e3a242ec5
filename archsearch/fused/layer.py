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

from archsearch.fused import kernels

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
        norm = self.norm
        count, channels = images.shape[:2]
        kept = torch.ones(count, channels)
        if self.dropout is not None:
            kept.bernoulli_(1 - self.dropout.p).div_(1 - self.dropout.p)
        outputs, mean, variance = _Function.apply(images, norm.weight, norm.bias, kept, self.low, norm.eps)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        assert norm.momentum is not None
        values = images.numel() // channels
        with torch.no_grad():
            norm.num_batches_tracked.add_(1)
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(variance * (values / (values - 1)), norm.momentum)
        assert isinstance(outputs, Tensor)
        return outputs


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, kept: Tensor, low: float, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        count, channels, height, width = images.shape
        repeat = lcm(channels, _VECTOR) // channels
        pixels = images.permute(0, 2, 3, 1).contiguous()
        floor = np.float32(low)
        sums, squares = np.zeros(repeat * channels), np.zeros(repeat * channels)
        kernels.moments(_flat(pixels), count, floor, sums, squares)
        values = count * height * width
        mean, square = _joined(sums, channels) / values, _joined(squares, channels) / values
        variance = np.maximum(square - mean**2, 0)
        deviation = np.sqrt(variance + eps)
        factor = weight.detach().numpy() / deviation
        mask = np.tile(kept.numpy(), (1, repeat))
        factors = mask * np.tile(factor, repeat).astype(np.float32)
        shifts = mask * np.tile(bias.detach().numpy() - mean * factor, repeat).astype(np.float32)
        outputs = torch.empty_like(pixels)
        kernels.scale(_flat(pixels), floor, factors, shifts, _flat(outputs))
        ctx.save_for_backward(pixels, weight)
        ctx.rest = mask, factors, mean, deviation, floor
        moments = torch.from_numpy(mean).float(), torch.from_numpy(variance).float()
        ctx.mark_non_differentiable(*moments)
        return (outputs.permute(0, 3, 1, 2), *moments)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        pixels, weight = ctx.saved_tensors
        mask, factors, mean, deviation, floor = ctx.rest
        channels = len(mean)
        repeat = mask.shape[1] // channels
        incoming = gradients.permute(0, 2, 3, 1).contiguous()
        sums, products = np.zeros(mask.shape[1]), np.zeros(mask.shape[1])
        kernels.gradient_sums(_flat(incoming), _flat(pixels), floor, mask, sums, products)
        of_bias = _joined(sums, channels)
        of_weight = (_joined(products, channels) - mean * of_bias) / deviation
        # With x the normalised value: (weight / deviation) * (g - mean(g) - x * mean(g * x)), as a line in the value.
        values = pixels.numel() // channels
        factor = weight.detach().numpy() / deviation
        slope = -factor * of_weight / (deviation * values)
        shift = -factor * of_bias / values - slope * mean
        outputs = torch.empty_like(pixels)
        slopes, shifts = (np.tile(each, repeat).astype(np.float32) for each in (slope, shift))
        kernels.gradient(_flat(incoming), _flat(pixels), floor, factors, slopes, shifts, _flat(outputs))
        of_parameters = (torch.from_numpy(each).float() for each in (of_weight, of_bias))
        return (outputs.permute(0, 3, 1, 2), *of_parameters, None, None, None)


def _flat(pixels: Tensor) -> NDArray[np.float32]:
    """The memory of a contiguous tensor."""
    return pixels.detach().view(-1).numpy()


def _joined(sums: NDArray[np.float64], channels: int) -> NDArray[np.float64]:
    """A channel's sums, from those of its repetitions."""
    total: NDArray[np.float64] = sums.reshape(-1, channels).sum(axis=0)
    return total
