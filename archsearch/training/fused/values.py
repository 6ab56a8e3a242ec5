"""Values of images in the compiled passes: float32, or bfloat16 as uint16, because NumPy and Numba lack it.

bfloat16 is the upper half of a float32.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from archsearch.training.fused.cache import compiled

Images: TypeAlias = NDArray[np.float32] | NDArray[np.uint16]
Floats = NDArray[np.float32]

_HALF = np.uint32(0x7FFF)  # just below half of the last bit that stays
_ONE, _SHIFT = np.uint32(1), np.uint32(16)
_NAN = np.uint16(0x7FC0)


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


@compiled
def lanes(channels: int) -> int:
    """How many sums are added up side by side, which is also their order: the fewest that fill SIMD vectors."""
    count = channels
    while count % 16:
        count += channels
    return count
