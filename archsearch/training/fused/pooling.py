"""Pooling of 2x2 pixels within the passes of `kernels`, an image at a time, while it is in the cache.

A pool is the height and the width of the images before it, and the places of the maxima: for each pooled value, which
of the four it is, row by row. Of average pooling, the array of places is empty. At odd sizes, the last row or column is
left out. (height, width, channels) -> (height // 2, width // 2, channels), both flat.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from archsearch.training.fused.cache import compiled
from archsearch.training.fused.values import Floats, Images, read, write

Pool: TypeAlias = tuple[int, int, NDArray[np.uint8]]

_QUARTER = np.float32(0.25)


@compiled
def pool_image(image: Floats, number: int, pool: Pool, outputs: Images) -> None:
    """Set image `number` of `outputs` to the averages or maxima of `image`; of maxima, also their places."""
    height, width, places = pool
    rows, columns = height // 2, width // 2
    length = len(image) // height
    channels = length // width
    # First for every pixel and the one at its right, because loops over a row are long enough for SIMD.
    wide, chosen = np.empty(length, np.float32), np.empty(length, np.uint8)
    pooled = np.empty(columns * channels, np.float32)
    for row in range(rows):
        upper = image[2 * row * length : (2 * row + 1) * length]
        lower = image[(2 * row + 1) * length : (2 * row + 2) * length]
        upper_right, lower_right = upper[channels:], lower[channels:]
        start = (number * rows + row) * columns * channels
        if len(places) == 0:
            for index in range(len(upper_right)):
                total = upper[index] + upper_right[index] + lower[index] + lower_right[index]
                wide[index] = total * _QUARTER
        else:
            for index in range(len(upper_right)):
                largest, place = upper[index], np.uint8(0)
                largest, place = _larger(largest, place, upper_right[index], np.uint8(1))
                largest, place = _larger(largest, place, lower[index], np.uint8(2))
                largest, place = _larger(largest, place, lower_right[index], np.uint8(3))
                wide[index] = largest
                chosen[index] = place
            for column in range(columns):
                first, target = 2 * column * channels, start + column * channels
                for channel in range(channels):
                    places[target + channel] = chosen[first + channel]
        for column in range(columns):
            first, target = 2 * column * channels, column * channels
            for channel in range(channels):
                pooled[target + channel] = wide[first + channel]
        output = outputs[start : start + len(pooled)]
        for index in range(len(pooled)):  # apart from the loop above, whose inner ones are too short for SIMD
            write(output, index, pooled[index])


@compiled
def _larger(largest: np.float32, place: np.uint8, value: np.float32, other: np.uint8) -> tuple[np.float32, np.uint8]:
    """The larger value and its place: the first of equal ones, and the last that is nan, as torch chooses."""
    is_larger = (value > largest) | (value != value)  # noqa: PLR0124
    return (value if is_larger else largest), (other if is_larger else place)


@compiled
def unpool_image(gradients: Images, number: int, pool: Pool, outputs: Floats) -> None:
    """Set `outputs` to the gradients of what was pooled to image `number`; what no window reaches stays as it is."""
    height, width, places = pool
    rows, columns = height // 2, width // 2
    length = len(outputs) // height
    channels = length // width
    size = columns * channels
    parts = np.empty((4, size), np.float32)
    for row in range(rows):
        start = (number * rows + row) * size
        gradient, place = gradients[start : start + size], places[start : start + size]
        if len(places) == 0:
            for index in range(size):
                value = read(gradient[index]) * _QUARTER
                parts[0, index], parts[1, index], parts[2, index], parts[3, index] = value, value, value, value
        else:
            for number_of_part in range(4):
                part = parts[number_of_part]
                for index in range(size):
                    part[index] = read(gradient[index]) if place[index] == number_of_part else np.float32(0)
        for half in range(2):
            output = outputs[(2 * row + half) * length : (2 * row + half + 1) * length]
            left, right = parts[2 * half], parts[2 * half + 1]
            for column in range(columns):
                target, first = 2 * column * channels, column * channels
                for channel in range(channels):
                    output[target + channel] = left[first + channel]
                    output[target + channels + channel] = right[first + channel]
