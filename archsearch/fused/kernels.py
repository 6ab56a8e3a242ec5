"""The passes over memory of `layer`, compiled by Numba when they are first called, and kept on disk by it.

All arrays of images are flat, with the channels of a pixel next to each other (N, height, width, channels). What is a
channel's own is repeated up to `period` values, a multiple of 16: a loop over as many is a loop over whole vectors of
the processor, which twelve channels would not fill. `low` is what values are cut off at: 0 for a ReLU, -inf for none.
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
def moments(images: Floats, count: int, low: np.float32, sums: Doubles, squares: Doubles) -> None:
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
def scale(images: Floats, low: np.float32, factors: Floats, shifts: Floats, outputs: Floats) -> None:
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
def gradient_sums(
    gradients: Floats, images: Floats, low: np.float32, kept: Floats, sums: Doubles, products: Doubles
) -> None:
    """Add up the gradients, and their products with the values; `kept` (N, period) weighs each image's."""
    count, period = kept.shape
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
            sums[place] += total[place] * kept[number, place]
            products[place] += product[place] * kept[number, place]


@_compiled
def gradient(
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
