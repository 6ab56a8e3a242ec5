"""The passes over memory of `layer`. Numba compiles them at the first call, and caches them on disk.

All image arrays are flat, with the channels of a pixel adjacent: (N, height, width, channels). They are float32 or
bfloat16, see `values`. Sums over the batch are float64, all else is float32. Values per channel are repeated up to
`period` values, a multiple of 16, so that a loop over them fills whole SIMD vectors; twelve channels would not. `low`
is the lower bound of the values before the norm: 0 for a ReLU, -inf without one. `floor` is that of the values behind
it, or None, for which Numba compiles code without a comparison. `mask` (N, channels) is 0 for dropped channels, and the
dropout's scale for all others. `pool` is that of `pooling`, or None.

A layer is one call forward and one backward. What lies between its passes is little work, but would take as long in
Python.
"""

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from archsearch.training.fused.cache import compiled, works
from archsearch.training.fused.pooling import Pool, pool_image, unpool_image
from archsearch.training.fused.values import Floats, Images, lanes, read, write

Doubles = NDArray[np.float64]


@lru_cache
def usable(*, bfloat16: bool, relu_behind: bool, pools: bool) -> bool:
    """Whether the kernels for such networks can be compiled or loaded. Does so, which takes seconds the first time.

    A network in bfloat16 has layers in float32, too.
    """
    return works(lambda: _call_all(bfloat16, relu_behind, pools))


def _call_all(bfloat16: bool, relu_behind: bool, pools: bool) -> None:
    """Call the kernels for two images of one channel and 4x4 pixels, with the types of real calls."""
    one, zero = np.ones(1, np.float32), np.float32(0)
    mask, factors, shifts = np.ones((2, 1), np.float32), np.empty((2, 16), np.float32), np.empty((2, 16), np.float32)
    statistics = mask, np.empty(1), np.empty(1), factors, shifts
    types = [np.float32, np.uint16] if bfloat16 else [np.float32]
    floors = [None, zero] if relu_behind else [None]
    all_pools = [None, (4, 4, np.empty(0, np.uint8))] if pools else [None]
    for dtype, floor, pool in itertools.product(types, floors, all_pools):
        images, outputs = np.ones((2, 32), dtype)
        forward(images, zero, floor, pool, 1e-5, 0.1, one, one, one.copy(), one.copy(), *statistics, outputs)
        backward(images, images, zero, floor, pool, one, *statistics, one.copy(), one.copy(), outputs)


@compiled
def _moments(images: Images, count: int, low: np.float32, sums: Doubles, squares: Doubles) -> None:
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
                pixel = read(part[index])
                value = low if pixel < low else pixel
                total[index] += value
                square[index] += value * value
        for index in range(period):  # single precision within an image, double over the batch
            sums[index] += total[index]
            squares[index] += square[index]


@compiled
def _scale(
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
    pool: Pool | None,
    factors: Floats,
    shifts: Floats,
    outputs: Images,
) -> None:
    """Set `outputs` to images * factors + shifts, pooled, with `factors` and `shifts` (N, period) per image."""
    size = len(images) // len(factors)
    values = np.empty(size, np.float32)
    for number in range(len(factors)):
        image = images[number * size : (number + 1) * size]
        if pool is None:
            output = outputs[number * size : (number + 1) * size]
            _scale_image(image, low, floor, factors[number], shifts[number], output)
        else:
            _scale_image(image, low, floor, factors[number], shifts[number], values)
            pool_image(values, number, pool, outputs)


@compiled
def _scale_image(
    image: Images, low: np.float32, floor: np.float32 | None, factor: Floats, shift: Floats, output: Images
) -> None:
    period = len(factor)
    for start in range(0, len(image), period):
        part, values = image[start : start + period], output[start : start + period]
        for index in range(len(part)):
            pixel = read(part[index])
            value = low if pixel < low else pixel
            normal = value * factor[index] + shift[index]
            if floor is not None:
                normal = floor if normal < floor else normal
            write(values, index, normal)


@compiled
def _gradient_sums(
    gradients: Images,
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
    pool: Pool | None,
    mask: Floats,
    factors: Floats,
    shifts: Floats,
    sums: Doubles,
    products: Doubles,
) -> None:
    """Sum the gradients, and their products with the values, weighted by `mask`."""
    (count, channels), period = mask.shape, len(sums)
    size = len(images) // count
    unpooled = np.zeros(size, np.float32)
    total, product = np.empty(period, np.float32), np.empty(period, np.float32)
    for number in range(count):
        total[:] = 0
        product[:] = 0
        image = images[number * size : (number + 1) * size]
        if pool is None:
            gradient = gradients[number * size : (number + 1) * size]
            _add_products(gradient, image, low, floor, factors[number], shifts[number], total, product)
        else:
            unpool_image(gradients, number, pool, unpooled)
            _add_products(unpooled, image, low, floor, factors[number], shifts[number], total, product)
        for index in range(period):
            weight = mask[number, index % channels]
            sums[index] += total[index] * weight
            products[index] += product[index] * weight


@compiled
def _add_products(
    gradient: Images,
    image: Images,
    low: np.float32,
    floor: np.float32 | None,
    factor: Floats,
    shift: Floats,
    total: Floats,
    product: Floats,
) -> None:
    period, zero = len(total), np.float32(0)
    for start in range(0, len(image), period):
        part, gradients = image[start : start + period], gradient[start : start + period]
        for index in range(len(part)):
            pixel = read(part[index])
            value = low if pixel < low else pixel
            incoming = read(gradients[index])
            if floor is not None:
                incoming = incoming if value * factor[index] + shift[index] > floor else zero
            total[index] += incoming
            product[index] += incoming * value


@compiled
def _gradient(
    gradients: Images,
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
    pool: Pool | None,
    factors: Floats,
    shifts: Floats,
    slope: Floats,
    offset: Floats,
    outputs: Images,
) -> None:
    """Set `outputs` to gradients * factors + images * slope + offset where images > low, else to 0."""
    size = len(images) // len(factors)
    unpooled = np.zeros(size, np.float32)
    for number in range(len(factors)):
        image, output = images[number * size : (number + 1) * size], outputs[number * size : (number + 1) * size]
        if pool is None:
            gradient = gradients[number * size : (number + 1) * size]
            _gradient_image(gradient, image, low, floor, factors[number], shifts[number], slope, offset, output)
        else:
            unpool_image(gradients, number, pool, unpooled)
            _gradient_image(unpooled, image, low, floor, factors[number], shifts[number], slope, offset, output)


@compiled
def _gradient_image(
    gradient: Images,
    image: Images,
    low: np.float32,
    floor: np.float32 | None,
    factor: Floats,
    shift: Floats,
    slope: Floats,
    offset: Floats,
    output: Images,
) -> None:
    period, zero = len(factor), np.float32(0)
    for start in range(0, len(image), period):
        part, gradients = image[start : start + period], gradient[start : start + period]
        values = output[start : start + period]
        for index in range(len(part)):
            pixel = read(part[index])
            incoming = read(gradients[index])
            if floor is not None:
                incoming = incoming if pixel * factor[index] + shift[index] > floor else zero
            value = incoming * factor[index] + pixel * slope[index] + offset[index]
            write(values, index, value if pixel > low else zero)


@compiled
def forward(
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
    pool: Pool | None,
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
    shifts: Floats,
    outputs: Images,
) -> None:
    """Normalise `images` into `outputs`, and update the running statistics.

    Fills `mean` and `deviation` (channels,), and `factors` and `shifts` (N, period), for `backward`.
    """
    (count, channels), period = mask.shape, factors.shape[1]
    sums, squares = np.zeros(lanes(channels)), np.zeros(lanes(channels))
    _moments(images, count, low, sums, squares)
    values = len(images) // channels
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
    _scale(images, low, floor, pool, factors, shifts, outputs)


@compiled
def backward(
    gradients: Images,
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
    pool: Pool | None,
    weight: Floats,
    mask: Floats,
    mean: Doubles,
    deviation: Doubles,
    factors: Floats,
    shifts: Floats,
    weight_gradient: Floats,
    bias_gradient: Floats,
    outputs: Images,
) -> None:
    """From the gradients of the outputs of `forward`, compute those of its images (`outputs`), weight and bias."""
    channels, period = mask.shape[1], factors.shape[1]
    sums, products = np.zeros(lanes(channels)), np.zeros(lanes(channels))
    _gradient_sums(gradients, images, low, floor, pool, mask, factors, shifts, sums, products)
    values = len(images) // channels
    slopes, offsets = np.empty(period, np.float32), np.empty(period, np.float32)
    for channel in range(channels):
        total = sums[channel::channels].sum()
        product = (products[channel::channels].sum() - mean[channel] * total) / deviation[channel]
        bias_gradient[channel], weight_gradient[channel] = total, product
        # With x the normalised value: (weight / deviation) * (g - mean(g) - x * mean(g * x)), linear in the value.
        factor = weight[channel] / deviation[channel]
        slope = -factor * product / (deviation[channel] * values)
        for index in range(channel, period, channels):
            slopes[index] = slope
            offsets[index] = -factor * total / values - slope * mean[channel]
    _gradient(gradients, images, low, floor, pool, factors, shifts, slopes, offsets, outputs)
