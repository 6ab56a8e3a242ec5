"""Batches of normalised images."""

import numpy as np
import pytest
import torch
from torch import Tensor

from archsearch.data.batches import ImageSet
from archsearch.data.catalogue import DATASETS


def image_set(count: int, channels_last: bool = False) -> ImageSet:
    random = np.random.default_rng(1)
    return ImageSet.of(
        DATASETS["mnist"],
        random.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8),
        np.arange(count, dtype=np.uint8) % 10,
        torch.device("cpu"),
        channels_last,
    )


def colour_set(count: int) -> ImageSet:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(count, dtype=np.uint8) % 10
    return ImageSet.of(DATASETS["cifar10"], pixels, labels, torch.device("cpu"), channels_last=True)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels_of_epoch(images: ImageSet, batch_size: int, seed: int) -> list[int]:
    return [int(label) for _, labels in images.shuffled(batch_size, generator(seed)) for label in labels]


@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_equal_torchvisions_transforms(channels_last: bool) -> None:
    from torchvision.transforms import Compose, Normalize, ToTensor

    transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    images = image_set(7, channels_last)
    batches = [pixels for pixels, _ in images.in_order(3)]
    assert [len(batch) for batch in batches] == [3, 3, 1]
    torch.testing.assert_close(
        torch.cat(batches), torch.stack([transform(image[0].numpy()) for image in images.images])
    )


def test_each_channel_is_normalised_with_its_own_statistics() -> None:
    from torchvision.transforms import Compose, Normalize, ToTensor

    info = DATASETS["cifar10"]
    transform = Compose([ToTensor(), Normalize(info.mean, info.std)])
    images = colour_set(5)
    expected = torch.stack([transform(image.permute(1, 2, 0).numpy()) for image in images.images])
    ((pixels, _),) = images.in_order(5)
    torch.testing.assert_close(pixels, expected)
    ((together, labels),) = images.shuffled_side_by_side(5, [generator(1), generator(2)])
    torch.testing.assert_close(together[:, 3:], expected[labels[1]])


def test_a_subset_has_its_images_and_labels_without_copying() -> None:
    images = image_set(9)
    subset = images.only(np.array([8, 1, 5])).only(np.array([2, 0]))
    assert subset.images is images.images
    ((pixels, labels),) = subset.in_order(9)
    assert labels.tolist() == [5, 8]
    ((everything, _),) = images.in_order(9)
    torch.testing.assert_close(pixels, everything[[5, 8]])


def test_a_shuffled_epoch_has_each_image_once() -> None:
    assert sorted(labels_of_epoch(image_set(10), 4, seed=1)) == list(range(10))


def test_the_order_of_a_shuffled_epoch_depends_on_its_seed() -> None:
    first, again, other = (labels_of_epoch(image_set(10), 5, seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(("count", "batch_size"), [(20, 6), (21, 5), (21, 4), (3, 1), (5, 8), (1, 4)])
def test_a_last_batch_of_one_image_is_dropped(count: int, batch_size: int) -> None:
    images = image_set(count)
    sizes = [len(labels) for _, labels in images.shuffled(batch_size, generator(0))]
    assert len(sizes) == images.steps(batch_size)
    assert batch_size == 1 or 1 not in sizes


def test_augmentation_gets_pixels_before_they_are_normalised() -> None:
    images = image_set(4)

    def blacken(pixels: Tensor, labels: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        assert torch.equal(labels, images.labels[positions])
        return torch.zeros_like(pixels), labels

    ((pixels, _),) = images.shuffled(4, generator(0), blacken)
    torch.testing.assert_close(pixels, torch.full_like(pixels, -0.1307 / 0.3081))


def test_members_side_by_side_get_the_batches_that_each_would_get_alone() -> None:
    images = image_set(10)

    def invert(pixels: Tensor, labels: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        assert pixels.shape[1:] == (1, 28, 28)
        assert torch.equal(pixels, images.images[positions] / 255) and torch.equal(labels, images.labels[positions])
        return 1 - pixels, labels

    together = list(images.shuffled_side_by_side(4, [generator(1), generator(2)], invert))
    for member, seed in enumerate((1, 2)):
        alone = images.shuffled(4, generator(seed), invert)
        for (pixels, labels), (pixels_alone, labels_alone) in zip(together, alone, strict=True):
            torch.testing.assert_close(pixels[:, [member]], pixels_alone)
            assert labels[member].tolist() == labels_alone.tolist()
