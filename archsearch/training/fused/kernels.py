"""The passes over memory of `layer`. Numba compiles them at the first call, and caches them on disk.

All image arrays are flat, with the channels of a pixel adjacent: (N, height, width, channels). They are float32, or
bfloat16 as uint16, because NumPy and Numba lack it: it is the upper half of a float32. Sums over the batch are float64,
all else is float32. Values per channel are repeated up to `period` values, a multiple of 16, so that a loop over them
fills whole SIMD vectors; twelve channels would not. `low` is the lower bound of the values before the norm: 0 for a
ReLU, -inf without one. `floor` is that of the values behind it, or None, for which Numba compiles code without a
comparison. `mask` (N, channels) is 0 for dropped channels, and the dropout's scale for all others.

A layer is one call forward and one backward. What lies between its passes is little work, but would take as long in
Python. All compiled code is in this file, because Numba's cache notices changes of the outer function's file only.
"""

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from archsearch.training.fused.cache import compiled, works

Images: TypeAlias = NDArray[np.float32] | NDArray[np.uint16]

_HALF = np.uint32(0x7FFF)  # just below half of the last bit that stays
_ONE, _SHIFT = np.uint32(1), np.uint32(16)
_NAN = np.uint16(0x7FC0)
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F) -> F:
    # "contract" multiplies and adds in one instruction. Other fastmath flags are off: nan must stay nan.
    return compiled(function, nogil=True, fastmath={"contract"})


def read(value: np.float32 | np.uint16) -> np.float32:
    """A value of an image as float32. For compiled functions: Numba replaces it by one of the functions below."""
    raise NotImplementedError


def write(outputs: Images, index: int, value: np.float32) -> None:
    """Set outputs[index] to `value`, in bfloat16 rounded to nearest, halves to even, as torch rounds."""
    raise NotImplementedError


@overload(read, strict=False)  # strict compares annotations
def _read(value: types.Type) -> Callable[[Any], Any]:
    return _read_bfloat16 if value == types.uint16 else _read_float32


@overload(write, strict=False)
def _write(outputs: types.Array, index: types.Type, value: types.Type) -> Callable[[Any, Any, Any], None]:
    del index, value
    return _write_bfloat16 if outputs.dtype == types.uint16 else _write_float32


def _read_float32(value: Any) -> Any:
    return value


def _read_bfloat16(value: Any) -> Any:
    return np.uint32(np.uint32(value) << _SHIFT).view(np.float32)


def _write_float32(outputs: Any, index: Any, value: Any) -> None:
    outputs[index] = value


def _write_bfloat16(outputs: Any, index: Any, value: Any) -> None:
    bits = np.float32(value).view(np.uint32)
    rounded = np.uint32(bits + _HALF + ((bits >> _SHIFT) & _ONE))
    is_nan = value != value  # noqa: PLR0124 # adding would turn some nan into a number
    outputs[index] = _NAN if is_nan else np.uint16(rounded >> _SHIFT)


@lru_cache
def usable(*, bfloat16: bool, relu_behind: bool) -> bool:
    """Whether the kernels for such networks can be compiled or loaded. Does so, which takes seconds the first time.

    A network in bfloat16 has layers in float32, too.
    """
    return works(lambda: _call_all(bfloat16, relu_behind))


def _call_all(bfloat16: bool, relu_behind: bool) -> None:
    """Call the kernels for two images of one channel and 4x4 pixels, with the types of real calls."""
    one, zero = np.ones(1, np.float32), np.float32(0)
    mask, factors, shifts = np.ones((2, 1), np.float32), np.empty((2, 16), np.float32), np.empty((2, 16), np.float32)
    statistics = mask, np.empty(1), np.empty(1), factors, shifts
    single: list[Images] = [np.ones(32, np.float32)]
    half: list[Images] = [np.ones(32, np.uint16)]
    for images, floor in itertools.product(single + half * bfloat16, [None, zero] if relu_behind else [None]):
        outputs = images.copy()
        forward(images, zero, floor, 1e-5, 0.1, one, one, one.copy(), one.copy(), *statistics, outputs)
        backward(images, images, zero, floor, one, *statistics, one.copy(), one.copy(), outputs)


@_compiled
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


@_compiled
def _scale(
    images: Images, low: np.float32, floor: np.float32 | None, factors: Floats, shifts: Floats, outputs: Images
) -> None:
    """Set `outputs` to images * factors + shifts, with `factors` and `shifts` (N, period) per image."""
    count, period = factors.shape
    size = len(images) // count
    for number in range(count):
        factor, shift = factors[number], shifts[number]
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, output = images[start:end], outputs[start:end]
            for index in range(len(part)):
                pixel = read(part[index])
                value = low if pixel < low else pixel
                normal = value * factor[index] + shift[index]
                if floor is not None:
                    normal = floor if normal < floor else normal
                write(output, index, normal)


@_compiled
def _gradient_sums(
    gradients: Images,
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
    mask: Floats,
    factors: Floats,
    shifts: Floats,
    sums: Doubles,
    products: Doubles,
) -> None:
    """Sum the gradients, and their products with the values, weighted by `mask`."""
    (count, channels), period = mask.shape, len(sums)
    size = len(images) // count
    total, product = np.empty(period, np.float32), np.empty(period, np.float32)
    zero = np.float32(0)
    for number in range(count):
        factor, shift = factors[number], shifts[number]
        total[:] = 0
        product[:] = 0
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, gradient = images[start:end], gradients[start:end]
            for index in range(len(part)):
                pixel = read(part[index])
                value = low if pixel < low else pixel
                incoming = read(gradient[index])
                if floor is not None:
                    incoming = incoming if value * factor[index] + shift[index] > floor else zero
                total[index] += incoming
                product[index] += incoming * value
        for index in range(period):
            weight = mask[number, index % channels]
            sums[index] += total[index] * weight
            products[index] += product[index] * weight


@_compiled
def _gradient(
    gradients: Images,
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
    factors: Floats,
    shifts: Floats,
    slope: Floats,
    offset: Floats,
    outputs: Images,
) -> None:
    """Set `outputs` to gradients * factors + images * slope + offset where images > low, else to 0."""
    count, period = factors.shape
    size = len(images) // count
    zero = np.float32(0)
    for number in range(count):
        factor, shift = factors[number], shifts[number]
        for start in range(number * size, (number + 1) * size, period):
            end = min(start + period, (number + 1) * size)
            part, gradient, output = images[start:end], gradients[start:end], outputs[start:end]
            for index in range(len(part)):
                pixel = read(part[index])
                incoming = read(gradient[index])
                if floor is not None:
                    incoming = incoming if pixel * factor[index] + shift[index] > floor else zero
                value = incoming * factor[index] + pixel * slope[index] + offset[index]
                write(output, index, value if pixel > low else zero)


@_compiled
def forward(
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
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
    sums, squares = np.zeros(period), np.zeros(period)
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
    _scale(images, low, floor, factors, shifts, outputs)


@_compiled
def backward(
    gradients: Images,
    images: Images,
    low: np.float32,
    floor: np.float32 | None,
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
    sums, products = np.zeros(period), np.zeros(period)
    _gradient_sums(gradients, images, low, floor, mask, factors, shifts, sums, products)
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
    _gradient(gradients, images, low, floor, factors, shifts, slopes, offsets, outputs)
