"""Pictures as raw pixels, with the channels and the size that a network takes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from archsearch.data.formats import IMAGE_SUFFIXES
from archsearch.data.pixels import opened, pixels_of
from archsearch.errors import DataError, first_line
from archsearch.model.tree import Shape

Pixels = NDArray[np.uint8]

CHANNELS = (1, 3, 4)  # of an array that is an image: grey, RGB, RGBA


def find_files(names: Sequence[str]) -> list[str]:
    """The files `names`, in their order, and those of folders, at any depth, by name; `-` is standard input.

    In a folder, hidden files and files without a suffix of an image are ignored. Raises `DataError` if there are none.
    """
    files: list[str] = []
    for name in names:
        folder = Path(name)
        if name in ("-", "") or not folder.is_dir():
            files.append(name)
            continue
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        visible = [path for path in images if not any(part[0] == "." for part in path.relative_to(folder).parts)]
        files += [str(path) for path in visible if path.is_file()]
    if not files:
        where = ", ".join(names) if names else "no files"
        raise DataError(f"{where}: there are no images; name image files, folders of them, or - for standard input")
    return files


def read_picture(file: str | bytes, shape: Shape) -> Pixels:
    """The image file with this name or content, converted for a network of images of `shape`. Raises `DataError`."""
    try:
        if isinstance(file, str) and not Path(file).is_file():  # reading a pipe would wait for ever
            raise DataError("there is no such file" if not Path(file).exists() else "not a regular file")
        if not (file if isinstance(file, bytes) else Path(file).stat().st_size):
            raise DataError("empty")
        with opened(file if isinstance(file, bytes) else Path(file)) as picture:
            return converted(picture, shape)
    except UnidentifiedImageError:
        raise DataError("not an image, or of an unknown format") from None
    except DataError:
        raise
    except Exception as error:  # damaged files raise nearly anything
        raise DataError(first_line(error)) from error


def converted(picture: Image.Image, shape: Shape) -> Pixels:
    """`picture` with `shape` = (channels, height, width), as image files are converted for training.

    Raises `DataError` if the network takes neither grey nor RGB.
    """
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"the network takes images of {channels} channels, which are neither grey nor RGB")
    return pixels_of(picture, (channels, height, width))


def from_arrays(images: Iterable[object], shape: Shape) -> Pixels:
    """Images of any size, each an array of uint8 or one of PIL's, as one array. Raises `DataError`."""
    pictures = [image if isinstance(image, Image.Image) else _picture(image) for image in images]
    return np.stack([converted(picture, shape) for picture in pictures])


def _picture(image: object) -> Image.Image:
    """The picture of an array: (height, width), (height, width, channels) or (channels, height, width)."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if (
        not array.size
        or array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in CHANNELS)
    ):
        rule = "must be uint8 (height, width), (height, width, channels) or (channels, height, width)"
        raise DataError(f"got an image of {array.dtype} {array.shape}, {rule}, or an image of PIL's")
    return Image.fromarray(np.ascontiguousarray(array))
