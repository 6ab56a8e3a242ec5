"""The transforms of a run, one after the other."""

import torch
from torch import Tensor
from torch.nn import functional

from archsearch.config.augment import Augment
from archsearch.data.augment.color import jitter_color
from archsearch.data.augment.draws import happens
from archsearch.data.augment.erasing import cut_out, erase
from archsearch.data.augment.geometry import crop, flip, transform_affine
from archsearch.data.augment.mixing import cut_mix, mix_up
from archsearch.data.batches import ImageSet, Transform


def make_augmentation(settings: Augment, images: ImageSet, *seeds: int) -> "Augmentation | None":
    """The transforms that `settings` describe for the set `images`, or None for no augmentation.

    `seeds` are those of the members that are trained together, or that of one run.
    """
    return None if settings == Augment() else Augmentation(settings, images, *seeds)


class Augmentation:
    """Transforms batches of the set `images` as `settings` describe.

    `seeds` decide which images an alternating flip begins with, one for each member; members take turns in a batch. All
    else is drawn from torch's global generator.
    """

    def __init__(self, settings: Augment, images: ImageSet, *seeds: int) -> None:
        self.settings = settings
        self._mean = images.mean
        self._classes = images.classes
        self._is_even: Tensor | None = None  # (members, images of the set): whether it is flipped in even epochs
        if settings.flip is not None and settings.flip.alternating:
            draws = [torch.rand(len(images), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            self._is_even = (torch.stack(draws) < 0.5).to(images.images.device)

    def in_epoch(self, epoch: int) -> Transform:
        """The transform of epoch `epoch`, which counts from 1."""

        def transform(images: Tensor, labels: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
            images = self._change(images, positions, epoch)
            return self._mix(images, labels)

        return transform

    def samples(self, images: ImageSet, count: int, epochs: int) -> Tensor:
        """The first `count` of the set `images` in each of `epochs` epochs, for people to look at.

        As bytes (epochs, count, channels, height, width), on the CPU. torch's generator there stays as it is.
        """
        positions = torch.arange(min(count, len(images)), device=images.images.device)
        pixels = images.images[images.indices[positions]].to(torch.get_default_dtype()).div_(255)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            changed = [
                self.in_epoch(1 + epoch)(pixels, images.labels[positions], positions)[0] for epoch in range(epochs)
            ]
        return torch.stack(changed).mul_(255).round_().clamp_(0, 255).to("cpu", torch.uint8)

    def _change(self, images: Tensor, positions: Tensor, epoch: int) -> Tensor:
        settings = self.settings
        if settings.affine is not None:
            images = transform_affine(images, settings.affine)
        if settings.crop is not None:
            images = crop(images, settings.crop)
        if settings.flip is not None:
            if self._is_even is not None:
                members = torch.arange(len(positions), device=images.device) % len(self._is_even)
                is_flipped = self._is_even[members, positions] == (epoch % 2 == 0)
            else:
                is_flipped = happens(len(images), settings.flip.p, images.device)
            images = flip(images, is_flipped)
        if settings.color_jitter is not None:
            images = jitter_color(images, settings.color_jitter)
        if settings.erasing is not None:
            images = erase(images, settings.erasing, self._mean)
        if settings.cutout is not None:
            images = cut_out(images, settings.cutout, self._mean)
        return images

    def _mix(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        mixup, cutmix = self.settings.mixup, self.settings.cutmix
        if mixup is None and cutmix is None:
            return images, labels
        shares = functional.one_hot(labels, self._classes).to(images.dtype)
        if mixup is not None and (cutmix is None or float(torch.rand(())) < 0.5):
            return mix_up(images, shares, mixup)
        assert cutmix is not None
        return cut_mix(images, shares, cutmix)
