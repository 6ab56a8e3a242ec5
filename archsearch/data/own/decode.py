"""Decodes image files in parallel. Pillow computes outside of Python's lock, so threads do."""

import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from PIL import Image

from archsearch.config.settings import DataSettings
from archsearch.data.formats import Bytes
from archsearch.data.own.collection import Collection, Content
from archsearch.data.pixels import opened, pixels_of, shape_of
from archsearch.errors import ConfigError, DataError, Problem
from archsearch.system.bar import ProgressBar

Shape = tuple[int, int, int]
T = TypeVar("T")

_WINDOW = 512  # images at once


def decoded(collection: Collection, shape: Shape) -> Iterator[Bytes | str]:
    """The images of `collection` in order as bytes of `shape`, or why a file is no image."""
    if collection.pixels is not None:
        yield from collection.pixels
    else:
        yield from _in_parallel(collection, partial(_decode, shape), "decoding")


def common_shape(collection: Collection, data: DataSettings) -> Shape:
    """The shape that the images get: as `data` say, else that of the images.

    Raises `ConfigError` if they have different sizes and `data.size` is null, and `DataError` if there is no image.
    """
    if collection.pixels is not None:
        channels, height, width = collection.pixels.shape[1:]
        return channels, height, width
    size = (data.size, data.size) if isinstance(data.size, int) else data.size
    if size is not None and data.channels is not None:
        return data.channels, *size
    results = list(_in_parallel(collection, _inspect, "looking at"))
    shapes = [result for result in results if isinstance(result, tuple)]
    if not shapes:
        raise DataError(f"no image can be read: {collection.names[0]}: {results[0]}")
    channels = data.channels or max(channels for channels, _, _ in shapes)
    sizes = sorted({(height, width) for _, height, width in shapes}, key=lambda size: size[0] * size[1])
    if size is None and len(sizes) > 1:
        low, high = (f"{height}x{width}" for height, width in (sizes[0], sizes[-1]))
        rule = f"got null, but the images have {len(sizes):,} sizes, from {low} to {high} (height x width)"
        raise ConfigError([Problem("data.size", f"{rule}; set the one to scale and crop them to, as in data.size=64")])
    return channels, *(size or sizes[0])


def _in_parallel(collection: Collection, work: Callable[[Content], T], activity: str) -> Iterator[T]:
    """What `work` gives for each file of `collection`, in order, with a bar on a terminal."""
    assert collection.read is not None
    contents = collection.read()
    total = len(collection.names)
    # disable=None: only on a terminal.
    with (
        warnings.catch_warnings(action="ignore"),  # of Pillow, about odd metadata; not in threads, which share filters
        ThreadPoolExecutor(os.cpu_count()) as threads,
        ProgressBar(desc=f"{activity} {total:,} images", total=total, disable=None) as bar,
    ):
        while window := list(islice(contents, _WINDOW)):
            yield from threads.map(work, window)
            bar.update(len(window))


def _decode(shape: Shape, content: Content) -> Bytes | str:
    return _readable(content, lambda image: pixels_of(image, shape))


def _inspect(content: Content) -> Shape | str:
    return _readable(content, shape_of)


def _readable(content: Content, work: Callable[[Image.Image], T]) -> T | str:
    """What `work` gives for the image `content`, or why it cannot be read."""
    try:
        if (len(content) if isinstance(content, bytes) else content.stat().st_size) == 0:
            return "empty"
        with opened(content) as image:
            return work(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises nearly anything for damaged files
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        reason = str(error).partition(" '")[0].partition(" <_io")[0]  # without the file, which has been named
        return reason or type(error).__name__
