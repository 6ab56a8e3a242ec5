"""Changes of colour. Images are (batch, channels, height, width) with values from 0 to 1, and stay so.

The formulas are those of torchvision's `adjust_brightness` and its neighbours, with a factor (batch,) for each image.
"""

import torch
from torch import Tensor

from archsearch.config.augment import ColorJitter
from archsearch.data.augment.draws import uniform

_LUMA = (0.2989, 0.587, 0.114)  # of red, green and blue, as in torchvision


def jitter_color(images: Tensor, settings: ColorJitter) -> Tensor:
    """Change brightness, contrast, saturation and hue of every image by random amounts of its own."""
    count, device = len(images), images.device
    if settings.brightness:
        images = adjust_brightness(images, 1 + uniform(count, settings.brightness, device))
    if settings.contrast:
        images = adjust_contrast(images, 1 + uniform(count, settings.contrast, device))
    if settings.saturation:
        images = adjust_saturation(images, 1 + uniform(count, settings.saturation, device))
    return adjust_hue(images, uniform(count, settings.hue, device)) if settings.hue else images


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """From black at a factor of 0 to brighter above 1."""
    return _blend(images, torch.zeros((), device=images.device), factors)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """From the image's mean grey at a factor of 0 to more contrast above 1."""
    return _blend(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """From shades of grey at a factor of 0 to stronger colours above 1."""
    return _blend(images, _grey(images), factors)


def adjust_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Turn the hue of RGB images by `shifts` (batch,) of the colour circle, keeping saturation and value of HSV."""
    red, green, blue = images.unbind(dim=1)
    least, value = images.aminmax(dim=1)
    chroma = value - least
    divisor = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixths = sixths + 6 * shifts[:, None, None]
    # A channel falls from the value by the chroma where the hue is far from it on the circle.
    distances = [(sixths + offset).remainder(6) for offset in (5, 3, 1)]
    falls = [torch.minimum(distance, 4 - distance).clamp(0, 1) for distance in distances]
    return torch.stack([value - chroma * fall for fall in falls], dim=1)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(dim=1)
    return (red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2])[:, None]


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """`images` at a factor of 1, `others` at 0, and beyond."""
    share = factors[:, None, None, None]
    return (images * share + others * (1 - share)).clamp_(0, 1)
