"""Transforms that erase a part of the image. Images are (batch, channels, height, width) with values from 0 to 1."""

import math

import torch
from torch import Tensor

from archsearch.config.augment import Cutout, Erasing, Fill
from archsearch.data.augment.draws import happens

_ATTEMPTS = 10  # as in torchvision


def erase(images: Tensor, settings: Erasing, mean: float | Tensor) -> Tensor:
    """Erase a rectangle of random area and ratio in some of the images.

    As in torchvision, a rectangle that does not fit is drawn again; after ten that don't, nothing is erased.
    """
    count, _, height, width = images.shape
    device = images.device
    area = height * width * _between(settings.scale, (_ATTEMPTS, count), device)
    ratio = _between((math.log(settings.ratio[0]), math.log(settings.ratio[1])), (_ATTEMPTS, count), device).exp()
    heights, widths = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (heights < height) & (widths < width)
    first = fits.int().argmax(dim=0)[None]  # the first that fits
    tall, wide = heights.gather(0, first)[0], widths.gather(0, first)[0]
    top = (torch.rand(count, device=device) * (height - tall + 1)).floor()
    left = (torch.rand(count, device=device) * (width - wide + 1)).floor()
    is_erased = happens(count, settings.p, device) & fits.any(dim=0)
    box = _boxes(images, top, left, tall, wide) & is_erased[:, None, None, None]
    return _fill(images, box, settings.fill, mean)


def cut_out(images: Tensor, settings: Cutout, mean: float | Tensor) -> Tensor:
    """Erase a square around a random pixel of every image; what of it lies outside the image is cut off."""
    count, _, height, width = images.shape
    top = torch.randint(height, (count,), device=images.device) - settings.size // 2
    left = torch.randint(width, (count,), device=images.device) - settings.size // 2
    side = torch.full_like(top, settings.size)
    return _fill(images, _boxes(images, top, left, side, side), settings.fill, mean)


def _between(limits: tuple[float, float], shape: tuple[int, ...], device: torch.device) -> Tensor:
    least, most = limits
    return least + (most - least) * torch.rand(shape, device=device)


def _boxes(images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Where the rectangles (batch,) are: booleans (batch, 1, height, width)."""
    rows = torch.arange(images.shape[2], device=images.device)[None, :]
    columns = torch.arange(images.shape[3], device=images.device)[None, :]
    in_rows = (rows >= top[:, None]) & (rows < (top + height)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + width)[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _fill(images: Tensor, box: Tensor, fill: Fill, mean: float | Tensor) -> Tensor:
    if fill == "noise":
        return torch.where(box, torch.rand_like(images), images)
    # A number stays one: a tensor of it would be copied to a GPU, and its queue waited for.
    return torch.where(box, mean if fill == "mean" else 0.0, images)
