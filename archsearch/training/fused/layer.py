"""ReLU, batch norm, channel dropout and pooling as one layer: it reads values twice and writes them once per direction.

torch's own layers take eight passes forward and ten backward, over tensors too large for the caches: a third of the
time to train a small network. Statistics are summed over the batch in double precision.
"""

from math import inf, lcm
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from archsearch.training.fused import kernels
from archsearch.training.fused.pooling import Pool

_VECTOR = 16  # float32 values in the widest SIMD register
_UNBOUNDED = np.float32(-inf), None
_ENOUGH = 128  # values
_Bounds = tuple[np.float32, np.float32 | None]  # of the values before the norm and behind it; see `kernels`


class FusedNorm(nn.Module):
    """Computes `norm` in training, and `dropout` if given; after a ReLU, before one, or both; then `pool` if given.

    (batch, channels, height, width) -> the same shape and memory layout; with `pool`, which is of 2x2, half the height
    and width, rounded down. Draws the same random numbers as torch's dropout, and updates the running statistics of
    `norm`. An image is summed in single precision, so the variance of channels that hardly vary (a mean of many
    deviations) is less accurate than torch's. In bfloat16, pooling takes values that are not rounded.
    """

    def __init__(
        self,
        norm: nn.BatchNorm2d,
        dropout: nn.Dropout2d | None = None,
        pool: nn.AvgPool2d | nn.MaxPool2d | None = None,
        *,
        relu_before: bool,
        relu_behind: bool = False,
    ) -> None:
        super().__init__()
        self.norm, self.dropout, self.pool, self.relu_behind = norm, dropout, pool, relu_behind
        self.bounds = np.float32(0 if relu_before else -inf), np.float32(0) if relu_behind else None

    def forward(self, images: Tensor) -> Tensor:
        norm, count = self.norm, len(images)
        mask = torch.ones(count, norm.num_features)
        if self.dropout is not None:
            mask.bernoulli_(1 - self.dropout.p).div_(1 - self.dropout.p)
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        if images.is_contiguous() and (self.dropout is not None or self.bounds != _UNBOUNDED):
            images = images.view(-1).view(images.shape)  # torch's ReLU and dropout also prefer NCHW where both apply
        outputs = _Function.apply(images, norm.weight, norm.bias, mask, norm, self.bounds, self.pool)
        assert isinstance(outputs, Tensor)
        return outputs


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        mask: Tensor,
        norm: nn.BatchNorm2d,
        bounds: _Bounds,
        pooling: nn.Module | None,
    ) -> Tensor:
        pixels = images.permute(0, 2, 3, 1).contiguous()
        count, height, width, channels = pixels.shape
        pool: Pool | None = None
        outputs = torch.empty_like(pixels)
        if pooling is not None:
            outputs = pixels.new_empty(count, height // 2, width // 2, channels)
            pool = height, width, np.empty(outputs.numel() if isinstance(pooling, nn.MaxPool2d) else 0, np.uint8)
        mean, deviation = np.empty(channels), np.empty(channels)
        factors, shifts = np.empty((2, count, _period(channels)), np.float32)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.momentum is not None
        kernels.forward(
            _flat(pixels), *bounds, pool, norm.eps, norm.momentum, _flat(weight), _flat(bias),
            _flat(norm.running_mean), _flat(norm.running_var), mask.numpy(), mean, deviation, factors, shifts,
            _flat(outputs),
        )  # fmt: skip
        ctx.save_for_backward(pixels, weight)
        ctx.arrays = *bounds, pool, mask.numpy(), mean, deviation, factors, shifts
        return _in_layout_of(images, outputs.permute(0, 3, 1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, ...]:
        pixels, weight = ctx.saved_tensors
        low, floor, pool, mask, mean, deviation, factors, shifts = ctx.arrays
        incoming = gradients.to(pixels.dtype).permute(0, 2, 3, 1).contiguous()
        outputs = torch.empty_like(pixels)
        weight_gradient, bias_gradient = torch.empty_like(weight), torch.empty_like(weight)
        kernels.backward(
            _flat(incoming), _flat(pixels), low, floor, pool, _flat(weight), mask, mean, deviation, factors, shifts,
            _flat(weight_gradient), _flat(bias_gradient), _flat(outputs),
        )  # fmt: skip
        return outputs.permute(0, 3, 1, 2), weight_gradient, bias_gradient, None, None, None, None


def _in_layout_of(images: Tensor, outputs: Tensor) -> Tensor:
    """`outputs` in the memory layout of `images`, as torch's layers return it. Dropout draws in the order of memory."""
    if images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous():
        return outputs
    height, width = outputs.shape[2:]
    return torch.empty_like(images[:, :, :height, :width]).copy_(outputs)


def _period(channels: int) -> int:
    """How many values a loop covers: whole pixels and whole vectors, and enough of both that starting it is little."""
    period = lcm(channels, _VECTOR)
    return period * max(1, _ENOUGH // period)


def _flat(tensor: Tensor) -> NDArray[Any]:
    """The memory of a contiguous tensor, for reading and writing; that of bfloat16 as uint16."""
    flat = tensor.detach().view(-1)
    return (flat.view(torch.uint16) if flat.dtype == torch.bfloat16 else flat).numpy()
