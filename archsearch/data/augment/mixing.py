"""Transforms that mix the images of a batch, and their labels.

As in torchvision, each image meets the one before it in the (shuffled) batch. Both take images (batch, channels,
height, width) and one-hot labels (batch, classes), and return them mixed.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Beta

from archsearch.config.augment import CutMix, MixUp


def mix_up(images: Tensor, labels: Tensor, settings: MixUp) -> tuple[Tensor, Tensor]:
    """Blend every image with another. One share is drawn for the batch."""
    share = _draw_share(settings.alpha)
    return _blend(images, share), _blend(labels, share)


def cut_mix(images: Tensor, labels: Tensor, settings: CutMix) -> tuple[Tensor, Tensor]:
    """Replace a rectangle of every image by that of another. One rectangle is drawn for the batch."""
    height, width = images.shape[2:]
    half_side = 0.5 * math.sqrt(1 - _draw_share(settings.alpha))
    x, y = int(torch.randint(width, ())), int(torch.randint(height, ()))
    half_width, half_height = int(half_side * width), int(half_side * height)
    rows = slice(max(y - half_height, 0), min(y + half_height, height))
    columns = slice(max(x - half_width, 0), min(x + half_width, width))
    mixed = images.clone()
    mixed[:, :, rows, columns] = images.roll(1, 0)[:, :, rows, columns]
    erased = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, _blend(labels, 1 - erased / (height * width))


def _draw_share(alpha: float) -> float:
    # On the CPU, so that a GPU's queue is not waited for.
    return float(Beta(torch.tensor([alpha]), torch.tensor([alpha])).sample())


def _blend(values: Tensor, share: float) -> Tensor:
    return values.roll(1, 0).mul_(1 - share).add_(values * share)
