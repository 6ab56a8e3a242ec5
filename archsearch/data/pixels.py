"""An image file as pixels of a given shape: the same conversion in training and wherever a network is used."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

_GREY = ("1", "L", "LA", "La", "I", "F")  # modes of Pillow; those of 16 bits begin with "I;16"
_TURNED = (5, 6, 7, 8)  # orientations in which a camera swaps height and width
_ORIENTATION = 0x0112


def opened(content: Path | bytes) -> Image.Image:
    """The image file `content`, of which only the header is read. Raises `OSError` if it is none."""
    return Image.open(content if isinstance(content, Path) else io.BytesIO(content))


def shape_of(image: Image.Image) -> tuple[int, int, int]:
    """(channels, height, width) of `image` as it is meant to be seen: one channel if it is grey, else three."""
    width, height = image.size
    if image.getexif().get(_ORIENTATION) in _TURNED:
        width, height = height, width
    return 1 if _is_grey(image.mode) else 3, height, width


def pixels_of(image: Image.Image, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """`image` with `shape` = (channels, height, width): turned upright, scaled to cover it, cropped around the centre.

    Channels are grey, or red, green and blue; transparency is dropped. Raises `OSError` for damaged images.
    """
    channels, height, width = shape
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _is_grey(mode: str) -> bool:
    return mode in _GREY or mode.startswith("I;16")


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 or 32 bits a pixel with 8: integers of 16 bits are scaled, floating-point numbers cut off."""
    values = np.asarray(image, np.float64)
    if image.mode != "F":
        values = values / 257
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
