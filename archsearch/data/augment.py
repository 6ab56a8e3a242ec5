"""Random transforms of a batch, drawn on its device from torch's global generator, which the trainer seeds."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from archsearch.config.recipe import AffineAugment, Augment
from archsearch.data.batches import Transform


def make_augment(settings: Augment) -> Transform | None:
    """The transform of pixels in [0, 1] that `settings` describe, or None for no augmentation."""
    return Affine(settings) if isinstance(settings, AffineAugment) else None


class Affine:
    """Rotate, scale and shift every image by random amounts of its own. Pixels from outside the image are black."""

    def __init__(self, settings: AffineAugment) -> None:
        self.settings = settings

    def __call__(self, images: Tensor) -> Tensor:
        """Transform `images` (batch, channels, height, width), keeping their shape."""
        count, device = len(images), images.device
        angle = _uniform(count, math.radians(self.settings.degrees), device)
        scale = 1 + _uniform(count, self.settings.scale, device)
        # grid_sample needs the inverse map, from output to input pixels, in coordinates from -1 to 1.
        cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
        shift_x, shift_y = (_uniform(count, 2 * self.settings.translate, device) for _ in range(2))
        inverse = torch.stack(
            [torch.stack([cosine, sine, shift_x], dim=1), torch.stack([-sine, cosine, shift_y], dim=1)], dim=1
        )
        grid = functional.affine_grid(inverse, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _uniform(count: int, extent: float, device: torch.device) -> Tensor:
    return (torch.rand(count, device=device) * 2 - 1) * extent
