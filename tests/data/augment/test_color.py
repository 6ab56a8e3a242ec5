"""Changes of colour, held against torchvision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from archsearch.config.augment import ColorJitter
from archsearch.data.augment.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    jitter_color,
)

FACTORS = torch.tensor([0.0, 0.4, 1.0, 1.3, 1.9])


@pytest.mark.parametrize(
    ("adjust", "expected"),
    [
        (adjust_brightness, reference.adjust_brightness),
        (adjust_contrast, reference.adjust_contrast),
        (adjust_saturation, reference.adjust_saturation),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_gets_what_torchvision_makes_of_it(
    adjust: Callable[[Tensor, Tensor], Tensor], expected: Callable[[Tensor, float], Tensor], channels: int
) -> None:
    images = torch.rand(5, channels, 6, 7)
    for image, result, factor in zip(images, adjust(images, FACTORS), FACTORS.tolist(), strict=True):
        torch.testing.assert_close(result, expected(image, factor), atol=1e-6, rtol=0)


def test_the_hue_turns_as_in_torchvision() -> None:
    images = torch.rand(7, 3, 8, 8)
    images[:, :, 0] = images[:, :1, 0]  # a row of greys, which have no hue
    images[:, :, 1] = torch.tensor([1.0, 0.0, 0.0])[:, None]
    images[:, :, 2] = torch.tensor([0.2, 0.7, 0.7])[:, None]  # two channels are largest
    images[:, :, 3] = 0
    shifts = torch.tensor([-0.5, -0.3, -0.1, 0.0, 0.05, 0.25, 0.5])
    for image, result, shift in zip(images, adjust_hue(images, shifts), shifts.tolist(), strict=True):
        torch.testing.assert_close(result, reference.adjust_hue(image, shift), atol=1e-5, rtol=0)


def test_images_change_by_amounts_of_their_own_and_stay_between_0_and_1() -> None:
    torch.manual_seed(0)
    images = torch.full((200, 3, 4, 4), 0.5)
    means = jitter_color(images, ColorJitter(brightness=0.4)).mean(dim=(1, 2, 3))
    assert 0.3 <= means.min() < 0.32 and 0.68 < means.max() <= 0.7
    everything = ColorJitter(brightness=1, contrast=1, saturation=1, hue=0.5)
    changed = jitter_color(torch.rand(200, 3, 4, 4), everything)
    assert changed.min() >= 0 and changed.max() <= 1


def test_extents_of_zero_change_nothing() -> None:
    images = torch.rand(3, 3, 4, 4)
    assert jitter_color(images, ColorJitter()) is images
