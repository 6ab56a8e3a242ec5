"""The passes over memory of `layer`. Numba compiles them at the first call, and caches them on disk.

All image arrays are flat, with the channels of a pixel adjacent: (N, height, width, channels). Values per channel are
repeated up to `period` values, a multiple of 16, so that a loop over them fills whole SIMD vectors; twelve channels
would not. `low` is the lower bound of the values: 0 for a ReLU, -inf without one. `mask` (N, channels) is 0 for dropped
channels, and the dropout's scale for all others.

A layer is one call forward and one backward. What lies between its passes is little work, but would take as long in
Python.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from archsearch.training.fused.cache import compiled, works

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F) -> F:
    # "contract" multiplies and adds in one instruction. Other fastmath flags are off: nan must stay nan.
    return compiled(function, nogil=True, fastmath={"contract"})


@lru_cache(maxsize=1)
def usable() -> bool:
    """Whether the kernels can be compiled or loaded here. Does so, which takes some seconds the first time."""
    return works(_call_all)


def _call_all() -> None:
    """Call the kernels for two images of one channel and 4x4 pixels, with the types of real calls."""
    one = np.ones(1, np.float32)
    images, outputs = np.ones(32, np.float32), np.empty(32, np.float32)
    mask, factors = np.ones((2, 1), np.float32), np.empty((2, 16), np.float32)
    mean, deviation, low = np.empty(1), np.empty(1), np.float32(0)
    forward(images, low, 1e-5, 0.1, one, one, one.copy(), one.copy(), mask, mean, deviation, factors, outputs)
    backward(images, images, low, one, mask, mean, deviation, factors, one.copy(), one.copy(), outputs)


@_compiled
def _moments(images: Floats, count: int, low: np.float32, sums: Doubles, squares: Doubles) -> None:
    """Sum the values of `count` images, and their squares."""
    period, size = len(sums), len(images) // count
    total, square = np.empty(period, np.float32), np.empty(period, np.float32)
    for number in range(count):
        total[:] = 0
        square[:] = 0
        image = images[number * size : (number + 1) * size]
        for start in range(0, size, period):
            part = image[start : start + period]
            for index in range(len(part)):
                value = low if part[index] < low else part[index]
                total[index] += value
                square[index] += value * value
        for index in range(period):  # single precision within an image, double over the batch
            sums[index] += total[index]
            squares[index] += square[index]


@_compiled
def _scale(images: Floats, low: np.float32, factors: Floats, shifts: Floats, outputs: Floats) -> None:
    """Set `outputs` to images * factors + shifts, with `factors` and `shifts` (N, period) per image."""
    count, period = factors.shape
    size = len(images) // count
    for number in range(count):
        factor, shift = factors[number], shifts[number]
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, output = images[start:end], outputs[start:end]
            for index in range(len(part)):
                value = low if part[index] < low else part[index]
                output[index] = value * factor[index] + shift[index]


@_compiled
def _gradient_sums(
    gradients: Floats, images: Floats, low: np.float32, mask: Floats, sums: Doubles, products: Doubles
) -> None:
    """Sum the gradients, and their products with the values, weighted by `mask`."""
    (count, channels), period = mask.shape, len(sums)
    size = len(images) // count
    total, product = np.empty(period, np.float32), np.empty(period, np.float32)
    for number in range(count):
        total[:] = 0
        product[:] = 0
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, gradient = images[start:end], gradients[start:end]
            for index in range(len(part)):
                value = low if part[index] < low else part[index]
                total[index] += gradient[index]
                product[index] += gradient[index] * value
        for index in range(period):
            weight = mask[number, index % channels]
            sums[index] += total[index] * weight
            products[index] += product[index] * weight


@_compiled
def _gradient(
    gradients: Floats, images: Floats, low: np.float32, factors: Floats, slope: Floats, shift: Floats, outputs: Floats
) -> None:
    """Set `outputs` to gradients * factors + images * slope + shift where images > low, else to 0."""
    count, period = factors.shape
    size = len(images) // count
    zero = np.float32(0)
    for number in range(count):
        factor = factors[number]
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, incoming, output = images[start:end], gradients[start:end], outputs[start:end]
            for index in range(len(part)):
                value = incoming[index] * factor[index] + part[index] * slope[index] + shift[index]
                output[index] = value if part[index] > low else zero


@_compiled
def forward(
    images: Floats,
    low: np.float32,
    eps: float,
    momentum: float,
    weight: Floats,
    bias: Floats,
    running_mean: Floats,
    running_var: Floats,
    mask: Floats,
    mean: Doubles,
    deviation: Doubles,
    factors: Floats,
    outputs: Floats,
) -> None:
    """Normalise `images` into `outputs`, and update the running statistics.

    Fills `mean` (channels,), `deviation` (channels,) and `factors` (N, period) for `backward`.
    """
    (count, channels), period = mask.shape, factors.shape[1]
    sums, squares = np.zeros(period), np.zeros(period)
    _moments(images, count, low, sums, squares)
    values = len(images) // channels
    shifts = np.empty_like(factors)
    for channel in range(channels):
        mean[channel] = sums[channel::channels].sum() / values
        variance = max(squares[channel::channels].sum() / values - mean[channel] ** 2, 0.0)
        deviation[channel] = np.sqrt(variance + eps)
        running_mean[channel] += momentum * (mean[channel] - running_mean[channel])
        running_var[channel] += momentum * (variance * values / (values - 1) - running_var[channel])
        factor = weight[channel] / deviation[channel]
        shift = bias[channel] - mean[channel] * factor
        for number in range(count):
            for index in range(channel, period, channels):
                factors[number, index] = mask[number, channel] * factor
                shifts[number, index] = mask[number, channel] * shift
    _scale(images, low, factors, shifts, outputs)


@_compiled
def backward(
    gradients: Floats,
    images: Floats,
    low: np.float32,
    weight: Floats,
    mask: Floats,
    mean: Doubles,
    deviation: Doubles,
    factors: Floats,
    weight_gradient: Floats,
    bias_gradient: Floats,
    outputs: Floats,
) -> None:
    """From the gradients of the outputs of `forward`, compute those of its images (`outputs`), weight and bias."""
    channels, period = mask.shape[1], factors.shape[1]
    sums, products = np.zeros(period), np.zeros(period)
    _gradient_sums(gradients, images, low, mask, sums, products)
    values = len(images) // channels
    slopes, shifts = np.empty(period, np.float32), np.empty(period, np.float32)
    for channel in range(channels):
        total = sums[channel::channels].sum()
        product = (products[channel::channels].sum() - mean[channel] * total) / deviation[channel]
        bias_gradient[channel], weight_gradient[channel] = total, product
        # With x the normalised value: (weight / deviation) * (g - mean(g) - x * mean(g * x)), linear in the value.
        factor = weight[channel] / deviation[channel]
        slope = -factor * product / (deviation[channel] * values)
        for index in range(channel, period, channels):
            slopes[index] = slope
            shifts[index] = -factor * total / values - slope * mean[channel]
    _gradient(gradients, images, low, factors, slopes, shifts, outputs)
