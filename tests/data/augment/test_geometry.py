"""Crops and flips, held against torchvision."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from archsearch.config.augment import Crop
from archsearch.data.augment.geometry import crop, flip


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("shape", [(3, 9, 7), (1, 8, 8)])
def test_a_crop_is_torchvisions_of_the_padded_image(mode: str, shape: tuple[int, int, int]) -> None:
    images = torch.rand(30, *shape)
    torch.manual_seed(5)
    cropped = crop(images, Crop(padding=3, padding_mode=mode))  # type: ignore[arg-type]
    torch.manual_seed(5)
    tops, lefts = torch.randint(7, (2, 30)).tolist()
    assert set(tops) == set(lefts) == set(range(7))
    for image, result, top, left in zip(images, cropped, tops, lefts, strict=True):
        padded = reference.pad(image, [3], padding_mode=mode)
        assert torch.equal(result, reference.crop(padded, top, left, *shape[1:]))


def test_flipped_images_are_mirrored_and_the_others_untouched() -> None:
    images = torch.rand(4, 3, 6, 5)
    flipped = flip(images, torch.tensor([True, False, False, True]))
    assert torch.equal(flipped[1:3], images[1:3])
    assert torch.equal(flipped[[0, 3]], reference.horizontal_flip(images[[0, 3]]))
