"""Transforms one after the other."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from archsearch.config.augment import Affine, Augment, ColorJitter, Crop, CutMix, Cutout, Erasing, Fill, Flip, MixUp
from archsearch.data.augment.pipeline import Augmentation, make_augmentation
from archsearch.data.batches import ImageSet
from archsearch.data.catalogue import DATASETS

EVERYTHING = Augment(
    affine=Affine(degrees=10, translate=0.1, scale=0.1),
    crop=Crop(padding=2),
    flip=Flip(),
    color_jitter=ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1),
    erasing=Erasing(),
    cutout=Cutout(size=8),
    mixup=MixUp(alpha=0.2),
    cutmix=CutMix(alpha=1.0),
)


@pytest.fixture
def images() -> ImageSet:
    return image_set()


def image_set(*, channels_last: bool = True) -> ImageSet:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(60, dtype=np.uint8) % 10
    return ImageSet.of(DATASETS["cifar10"], pixels, labels, torch.device("cpu"), channels_last)


def augmentation(settings: Augment, images: ImageSet, seed: int = 1) -> Augmentation:
    made = make_augmentation(settings, images, seed)
    assert made is not None
    return made


def epoch_of(settings: Augment, images: ImageSet, epoch: int = 1, seed: int = 1) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(100 * seed + epoch)
    order = torch.Generator().manual_seed(0)
    return list(images.shuffled(16, order, augmentation(settings, images, seed).in_epoch(epoch)))


def test_no_transforms_are_no_augmentation(images: ImageSet) -> None:
    assert make_augmentation(Augment(), images, 1) is None


def test_all_transforms_together_keep_shapes_and_ranges(images: ImageSet) -> None:
    sizes = []
    for pixels, labels in epoch_of(EVERYTHING, images):
        restored = pixels * images.std + images.mean
        assert restored.min() > -1e-6 and restored.max() < 1 + 1e-6
        assert pixels.shape == (len(labels), 3, 32, 32) and pixels.dtype == torch.float32
        torch.testing.assert_close(labels.sum(dim=1), torch.ones(len(labels)))
        sizes.append(len(labels))
    assert sizes == [16, 16, 16, 12]


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("name", [field.name for field in fields(Augment)])
def test_batches_have_the_layout_of_the_set(name: str, channels_last: bool) -> None:
    settings = Augment(**{name: getattr(EVERYTHING, name)})
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for pixels, _ in epoch_of(settings, image_set(channels_last=channels_last)):
        assert pixels.is_contiguous(memory_format=layout)


def test_an_epoch_depends_on_the_generators_seed_alone(images: ImageSet) -> None:
    first, again, other = (epoch_of(EVERYTHING, images, epoch) for epoch in (1, 1, 2))
    for (pixels, labels), (pixels_again, labels_again), (others, _) in zip(first, again, other, strict=True):
        assert torch.equal(pixels, pixels_again) and torch.equal(labels, labels_again)
        assert not torch.equal(pixels, others)


def test_stored_images_are_never_changed(images: ImageSet) -> None:
    before = images.images.clone()
    epoch_of(EVERYTHING, images)
    assert torch.equal(images.images, before)


def test_an_alternating_flip_shows_each_side_every_second_epoch(images: ImageSet) -> None:
    settings = Augment(flip=Flip(alternating=True))
    original = torch.cat([pixels for pixels, _ in images.shuffled(16, torch.Generator().manual_seed(0))])

    def flipped(epoch: int, seed: int = 1) -> Tensor:
        changed = torch.cat([pixels for pixels, _ in epoch_of(settings, images, epoch, seed)])
        is_flipped = (changed == original.flip(3)).flatten(1).all(dim=1)
        assert ((changed == original).flatten(1).all(dim=1) ^ is_flipped).all()
        return is_flipped

    first = flipped(1)
    assert 15 < first.sum() < 45
    assert torch.equal(flipped(2), ~first) and torch.equal(flipped(3), first)
    assert not torch.equal(flipped(1, seed=2), first)


def test_a_random_flip_flips_its_share_of_the_images(images: ImageSet) -> None:
    original = torch.cat([pixels for pixels, _ in images.shuffled(16, torch.Generator().manual_seed(0))])
    changed = torch.cat([pixels for pixels, _ in epoch_of(Augment(flip=Flip(p=0.9)), images)])
    assert 45 < (changed == original.flip(3)).flatten(1).all(dim=1).sum() < 60


def test_beside_mixup_each_batch_gets_one_of_the_two(images: ImageSet) -> None:
    transform = augmentation(Augment(mixup=MixUp(alpha=1.0), cutmix=CutMix(alpha=1.0)), images).in_epoch(1)
    pixels = torch.zeros(2, 3, 8, 8)
    pixels[1] = 1
    torch.manual_seed(0)
    is_blended = []
    for _ in range(40):
        mixed, _ = transform(pixels, torch.tensor([0, 1]), torch.arange(2))
        is_blended.append(bool(((mixed > 0) & (mixed < 1)).any()))
    assert 10 < sum(is_blended) < 30


@pytest.mark.parametrize("fill", ["mean", "noise"])
def test_nothing_leaves_the_images_device_or_waits_for_it(fill: Fill) -> None:
    meta = torch.device("meta")  # which refuses tensors of other devices, and has no values to wait for
    pixels = np.zeros((20, 3, 32, 32), np.uint8)
    images = ImageSet.of(DATASETS["cifar10"], pixels, np.zeros(20, np.uint8), meta, channels_last=True)
    settings = replace(
        EVERYTHING, flip=Flip(alternating=True), erasing=Erasing(fill=fill), cutout=Cutout(size=8, fill=fill)
    )
    transform = augmentation(settings, images).in_epoch(1)
    for mixed in (transform, augmentation(replace(settings, mixup=None), images).in_epoch(2)):
        changed, shares = mixed(torch.empty(5, 3, 32, 32, device=meta), images.labels[:5], torch.arange(5, device=meta))
        assert changed.device == shares.device == meta and changed.shape == (5, 3, 32, 32)
