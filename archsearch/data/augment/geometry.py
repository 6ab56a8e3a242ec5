"""Transforms that move pixels. Images are (batch, channels, height, width), of any float dtype."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from archsearch.config.augment import Affine, Crop
from archsearch.data.augment.draws import uniform

_PADDING_MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}


def transform_affine(images: Tensor, settings: Affine) -> Tensor:
    """Rotate, scale and shift every image by random amounts of its own. Pixels from outside the image are black."""
    count, _, height, width = images.shape
    device = images.device
    angle = uniform(count, math.radians(settings.degrees), device)
    scale = 1 + uniform(count, settings.scale, device)
    # grid_sample needs the inverse map, from output to input pixels, in coordinates from -1 to 1 on either side.
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    shift_x, shift_y = (uniform(count, 2 * settings.translate, device) for _ in range(2))
    inverse = torch.stack(
        [
            torch.stack([cosine, sine * (height / width), shift_x], dim=1),
            torch.stack([-sine * (width / height), cosine, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(inverse, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def crop(images: Tensor, settings: Crop) -> Tensor:
    """Pad every image and cut a random part of the same size out of it."""
    count, _, height, width = images.shape
    margin = settings.padding
    padded = functional.pad(images, (margin,) * 4, mode=_PADDING_MODES[settings.padding_mode])
    top, left = torch.randint(2 * margin + 1, (2, count, 1), device=images.device)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    members = torch.arange(count, device=images.device)[:, None, None]
    # Indices around a slice put the channels last.
    return padded[members, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def flip(images: Tensor, is_flipped: Tensor) -> Tensor:
    """Mirror the images of which `is_flipped` (batch,) is true."""
    return torch.where(is_flipped[:, None, None, None], images.flip(3), images)
