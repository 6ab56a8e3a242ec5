"""The passes over memory of `layer`, compiled by Numba when they are first called, and kept on disk by it.

All arrays of images are flat, with the channels of a pixel next to each other (N, height, width, channels). What is a
channel's own is repeated up to `period` values, a multiple of 16: a loop over as many is a loop over whole vectors of
the processor, which twelve channels would not fill. `low` is what values are cut off at: 0 for a ReLU, -inf for none.
`kept` (N, channels) is 0 for what dropout leaves out, and what it multiplies the rest with.

A layer is one call forward and one backward: what lies between the passes is little, and would take Python as long.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F) -> F:
    # Contracting is to multiply and add in one instruction; nothing else of fastmath: nan must stay nan.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # nowhere to keep it: neither beside this file nor in the user's cache
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


@_compiled
def _moments(images: Floats, count: int, low: np.float32, sums: Doubles, squares: Doubles) -> None:
    """Add up the values and their squares, of `count` images."""
    period, size = len(sums), len(images) // count
    total, square = np.empty(period, np.float32), np.empty(period, np.float32)
    for number in range(count):
        total[:] = 0
        square[:] = 0
        image = images[number * size : (number + 1) * size]
        for start in range(0, size, period):
            part = image[start : start + period]
            for place in range(len(part)):
                value = low if part[place] < low else part[place]
                total[place] += value
                square[place] += value * value
        for place in range(period):  # single precision within an image, double over the batch
            sums[place] += total[place]
            squares[place] += square[place]


@_compiled
def _scale(images: Floats, low: np.float32, factors: Floats, shifts: Floats, outputs: Floats) -> None:
    """Into `outputs`: images * factors + shifts, with factors and shifts (N, period) of each image."""
    count, period = factors.shape
    size = len(images) // count
    for number in range(count):
        factor, shift = factors[number], shifts[number]
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, output = images[start:end], outputs[start:end]
            for place in range(len(part)):
                value = low if part[place] < low else part[place]
                output[place] = value * factor[place] + shift[place]


@_compiled
def _gradient_sums(
    gradients: Floats, images: Floats, low: np.float32, kept: Floats, sums: Doubles, products: Doubles
) -> None:
    """Add up the gradients, and their products with the values; `kept` weighs each image's."""
    (count, channels), period = kept.shape, len(sums)
    size = len(images) // count
    total, product = np.empty(period, np.float32), np.empty(period, np.float32)
    for number in range(count):
        total[:] = 0
        product[:] = 0
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, gradient = images[start:end], gradients[start:end]
            for place in range(len(part)):
                value = low if part[place] < low else part[place]
                total[place] += gradient[place]
                product[place] += gradient[place] * value
        for place in range(period):
            weight = kept[number, place % channels]
            sums[place] += total[place] * weight
            products[place] += product[place] * weight


@_compiled
def _gradient(
    gradients: Floats, images: Floats, low: np.float32, factors: Floats, slope: Floats, shift: Floats, outputs: Floats
) -> None:
    """Into `outputs`: gradients * factors + images * slope + shift where values are above `low`, elsewhere 0."""
    count, period = factors.shape
    size = len(images) // count
    nothing = np.float32(0)
    for number in range(count):
        factor = factors[number]
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, incoming, output = images[start:end], gradients[start:end], outputs[start:end]
            for place in range(len(part)):
                value = incoming[place] * factor[place] + part[place] * slope[place] + shift[place]
                output[place] = value if part[place] > low else nothing


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
    kept: Floats,
    mean: Doubles,
    deviation: Doubles,
    factors: Floats,
    outputs: Floats,
) -> None:
    """Normalise `images` into `outputs`, moving the running statistics.

    `mean` (channels,), `deviation` (channels,) and `factors` (N, period) are filled for the way back.
    """
    (count, channels), period = kept.shape, factors.shape[1]
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
            for place in range(channel, period, channels):
                factors[number, place] = kept[number, channel] * factor
                shifts[number, place] = kept[number, channel] * shift
    _scale(images, low, factors, shifts, outputs)


@_compiled
def backward(
    gradients: Floats,
    images: Floats,
    low: np.float32,
    weight: Floats,
    kept: Floats,
    mean: Doubles,
    deviation: Doubles,
    factors: Floats,
    of_weight: Floats,
    of_bias: Floats,
    outputs: Floats,
) -> None:
    """From the gradients of what `forward` gave to those of its images (`outputs`), weight and bias."""
    channels, period = kept.shape[1], factors.shape[1]
    sums, products = np.zeros(period), np.zeros(period)
    _gradient_sums(gradients, images, low, kept, sums, products)
    values = len(images) // channels
    slopes, shifts = np.empty(period, np.float32), np.empty(period, np.float32)
    for channel in range(channels):
        total = sums[channel::channels].sum()
        product = (products[channel::channels].sum() - mean[channel] * total) / deviation[channel]
        of_bias[channel], of_weight[channel] = total, product
        # With x the normalised value: (weight / deviation) * (g - mean(g) - x * mean(g * x)), as a line in the value.
        factor = weight[channel] / deviation[channel]
        slope = -factor * product / (deviation[channel] * values)
        for place in range(channel, period, channels):
            slopes[place] = slope
            shifts[place] = -factor * total / values - slope * mean[channel]
    _gradient(gradients, images, low, factors, slopes, shifts, outputs)
