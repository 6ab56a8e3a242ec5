"""Random affine transforms."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from archsearch.config.augment import Affine
from archsearch.data.augment.geometry import transform_affine


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def augment(images: Tensor, degrees: float = 0.0, translate: float = 0.0, scale: float = 0.0) -> Tensor:
    return transform_affine(images, Affine(degrees=degrees, translate=translate, scale=scale))


def blank(count: int = 400) -> Tensor:
    return torch.zeros(count, 1, 29, 29)


def test_extents_of_zero_change_nothing() -> None:
    images = torch.rand(6, 1, 28, 28)
    torch.testing.assert_close(augment(images), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("axis", [2, 3])
def test_shifts_reach_but_do_not_exceed_their_fraction_of_the_side(axis: int) -> None:
    images = blank()
    images[:, :, 14, 14] = 1
    profile = augment(images, translate=0.1).sum(dim=(1, 5 - axis))
    centres = (profile * torch.arange(29)).sum(dim=1) / profile.sum(dim=1)
    shifts = centres - 14
    assert shifts.min() < -2 and shifts.max() > 2
    assert shifts.abs().max() <= 2.9 + 1e-3  # a tenth of 29 pixels


def test_rotations_go_both_ways_up_to_their_angle() -> None:
    images = blank()
    images[:, :, 14, 4:25] = 1
    rotated = augment(images, degrees=20.0)
    tips = rotated[:, 0, :, 23].argmax(dim=1) - 14  # nine pixels from the centre: 9 * tan(20 degrees) = 3.3
    assert tips.min() < 0 < tips.max()
    assert 2 <= tips.abs().max() <= 4


def test_scales_go_both_ways_up_to_their_factor() -> None:
    images = blank()
    images[:, :, :, 9:20] = 1  # 11 pixels wide
    widths = augment(images, scale=0.2)[:, 0, 14].sum(dim=1)
    assert 8.5 < widths.min() < 10 and 12 < widths.max() < 13.5  # 11 * 0.8 = 8.8, 11 * 1.2 = 13.2


def test_pixels_from_outside_the_image_are_black() -> None:
    shifted = augment(torch.ones(50, 1, 28, 28), translate=0.5)
    assert shifted.amin(dim=(1, 2, 3)).max() == 0


@pytest.mark.parametrize("sides", [(15, 15), (12, 20), (20, 12)])
def test_rotation_and_scale_are_those_of_torchvision(sides: tuple[int, int]) -> None:
    images = torch.rand(20, 3, *sides)
    torch.manual_seed(3)
    changed = augment(images, degrees=25.0, scale=0.3)
    torch.manual_seed(3)
    angles = (torch.rand(20) * 2 - 1) * 25
    scales = 1 + (torch.rand(20) * 2 - 1) * 0.3
    for number, (angle, scale) in enumerate(zip(angles.tolist(), scales.tolist(), strict=True)):
        expected = reference.affine(images[number], angle, [0, 0], scale, [0, 0], InterpolationMode.BILINEAR)
        torch.testing.assert_close(changed[number], expected, atol=1e-4, rtol=0)


def test_shifts_are_those_of_torchvision() -> None:
    images = torch.rand(20, 3, 12, 20)
    torch.manual_seed(3)
    changed = augment(images, translate=0.2)
    torch.manual_seed(3)
    torch.rand(2, 20)  # angles and scales
    shifts = -(torch.rand(2, 20) * 2 - 1) * 0.2 * torch.tensor([[20], [12]])
    for number, shift in enumerate(shifts.T.tolist()):
        expected = reference.affine(images[number], 0, shift, 1, [0, 0], InterpolationMode.BILINEAR)
        torch.testing.assert_close(changed[number], expected, atol=1e-4, rtol=0)
