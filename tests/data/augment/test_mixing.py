"""Mixed images and labels, held against torchvision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from archsearch.config.augment import CutMix, MixUp
from archsearch.data.augment.mixing import cut_mix, mix_up

LABELS = torch.tensor([0, 3, 1, 1, 2, 0])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_seed_mixes_as_in_torchvision(alpha: float, seed: int) -> None:
    images, shares = torch.rand(6, 3, 9, 12), functional.one_hot(LABELS, 4).float()
    pairs: list[tuple[Callable[[], tuple[Tensor, Tensor]], Callable[..., tuple[Tensor, Tensor]]]] = [
        (lambda: mix_up(images, shares, MixUp(alpha=alpha)), v2.MixUp(alpha=alpha, num_classes=4)),
        (lambda: cut_mix(images, shares, CutMix(alpha=alpha)), v2.CutMix(alpha=alpha, num_classes=4)),
    ]
    for ours, theirs in pairs:
        torch.manual_seed(seed)
        mixed, labels = ours()
        torch.manual_seed(seed)
        expected, expected_labels = theirs(images.clone(), LABELS)
        torch.testing.assert_close(mixed, expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(labels, expected_labels, atol=1e-6, rtol=0)


def test_the_share_of_a_label_is_the_area_that_its_image_keeps() -> None:
    images = torch.zeros(2, 1, 10, 10)
    images[1] = 1
    torch.manual_seed(2)
    mixed, labels = cut_mix(images, torch.eye(2), CutMix(alpha=1.0))
    assert 0 < labels[0, 1] < 1
    assert labels[0, 1] == pytest.approx(float(mixed[0].mean())) and labels[1, 0] == pytest.approx(float(labels[0, 1]))
