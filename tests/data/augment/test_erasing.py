"""Erased rectangles and squares."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from archsearch.config.augment import Cutout, Erasing
from archsearch.data.augment.erasing import cut_out, erase


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def boxes(images: Tensor) -> Tensor:
    """Top, left, height and width (images, 4) of what is black in white images."""
    places = []
    for image in images:
        rows, columns = torch.nonzero(image[0] == 0, as_tuple=True)
        if len(rows) == 0:
            places.append([0, 0, 0, 0])
            continue
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert height * width == len(rows), "not a rectangle"
        places.append([int(rows.min()), int(columns.min()), height, width])
    return torch.tensor(places)


@pytest.mark.parametrize(
    ("scale", "ratio", "p"),
    [((0.02, 0.33), (0.3, 3.3), 0.5), ((0.1, 0.9), (0.2, 0.8), 1.0), ((0.95, 0.99), (1.0, 1.0), 1.0)],
)
def test_rectangles_are_distributed_like_those_of_torchvision(
    scale: tuple[float, float], ratio: tuple[float, float], p: float
) -> None:
    images = torch.ones(3000, 1, 20, 24)
    ours = boxes(erase(images, Erasing(p=p, scale=scale, ratio=ratio, fill="black"), 0.5)).float()
    transform = v2.RandomErasing(p=p, scale=scale, ratio=ratio, value=0)
    theirs = boxes(torch.stack([transform(image) for image in images])).float()
    assert abs((ours[:, 2] > 0).float().mean() - (theirs[:, 2] > 0).float().mean()) < 0.03
    for column in range(4):
        # Five standard errors of the difference of two means.
        tolerance = 5 * (theirs[:, column].std() ** 2 * 2 / len(images)).sqrt() + 1e-6
        assert abs(ours[:, column].mean() - theirs[:, column].mean()) <= tolerance
        assert abs(ours[:, column].std() - theirs[:, column].std()) <= tolerance


@pytest.mark.parametrize("size", [1, 6, 7, 12])
def test_cutout_erases_the_squares_of_its_paper(size: int) -> None:
    images = torch.rand(100, 3, 12, 10)
    torch.manual_seed(1)
    changed = cut_out(images, Cutout(size=size, fill="black"), 0.0)
    torch.manual_seed(1)
    rows, columns = torch.randint(12, (100,)).tolist(), torch.randint(10, (100,)).tolist()
    for image, result, row, column in zip(images, changed, rows, columns, strict=True):
        mask = np.ones((12, 10), np.float32)
        top, left = row - size // 2, column - size // 2
        mask[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
        assert torch.equal(result, image * torch.from_numpy(mask))


@pytest.mark.parametrize("mean", [0.25, torch.tensor([0.1, 0.2, 0.3])[:, None, None]])
def test_pixels_are_filled_with_the_mean_or_with_noise(mean: float | Tensor) -> None:
    images = torch.ones(50, 3, 8, 8)
    filled = cut_out(images, Cutout(size=4), mean)
    erased = filled[:, 0] != 1
    expected = torch.as_tensor(mean).flatten().expand(3)
    assert erased.any() and torch.equal(
        filled.transpose(0, 1)[:, erased], expected[:, None].expand(-1, int(erased.sum()))
    )
    noise = cut_out(images, Cutout(size=4, fill="noise"), mean)
    values = noise[noise != 1]
    assert 0 <= values.min() < 0.1 and 0.9 < values.max() < 1 and abs(values.mean() - 0.5) < 0.05
