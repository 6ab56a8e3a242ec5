"""What a data set of a person's own holds, before it is decoded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.data.formats import Bytes
from archsearch.errors import DataError

TRAIN, VALIDATION, TEST = range(3)  # parts, in the order in which the cache holds them
Content = Path | bytes  # of an image file
MOST_NAMES = 5  # in a message


@dataclass(frozen=True)
class Collection:
    """Images with their `names` (N,), for messages, their `labels` (N,) and their `parts` (N,), each of which is one.

    The images are either `pixels` (N, channels, height, width) or files to decode, whose contents `read` yields.
    `notes` say what was left out.
    """

    classes: tuple[str, ...]
    names: Sequence[str]
    labels: NDArray[np.int64]
    parts: NDArray[np.int64]
    pixels: Bytes | None = None
    read: Callable[[], Iterator[Content]] | None = None
    notes: tuple[str, ...] = ()


def texts_of(values: NDArray[Any]) -> NDArray[Any]:
    """`values`, with bytes as the texts that they encode."""
    return np.char.decode(values, "utf-8", "surrogateescape") if values.dtype.kind == "S" else values


def class_numbers(values: NDArray[Any], subject: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The classes among `values` (N,), integers or texts, in order, and the number of each value's class (N,)."""
    if values.ndim != 1 or values.dtype.kind not in "iuSU":
        raise DataError(f"{subject}: must be one integer or text an image, got {values.dtype} of shape {values.shape}")
    classes, numbers = np.unique(texts_of(values), return_inverse=True)
    return tuple(map(str, classes.tolist())), numbers.astype(np.int64)


def numbers_of(labels: NDArray[Any], classes: Sequence[str], subject: str) -> NDArray[np.int64]:
    """`labels` (N,) as the numbers of `classes`. Raises `DataError` unless they are."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        actual = f"{labels.dtype} of shape {labels.shape}"
    elif len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
        actual = f"{labels.min()} to {labels.max()}"
    else:
        return labels.astype(np.int64)
    raise DataError(f"{subject}: labels must be integers from 0 to {len(classes) - 1}, got {actual}")


def some(names: Sequence[str]) -> str:
    """The first of `names`, and how many others there are."""
    others = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {others:,} more" if others > 0 else "")
