"""Images on a device, and normalised batches of them: one indexing operation per batch, no loop over images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archsearch.data.formats import Bytes
from archsearch.data.info import DatasetInfo, steps_per_epoch
from archsearch.data.load import Indices, Labels

# Changes a batch before it is normalised: images (batch, channels, height, width) with values from 0 to 1, labels
# (batch,) and positions in the set (batch,) become images and labels. Mixed images have shares (batch, classes).
Transform = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class ImageSet:
    """A subset of a data set: the images at `indices` (n,) of `images` (N, channels, height, width), and their labels.

    `images` are uint8, `labels` (n,) int64, all on one device. Subsets share the same `images`. If their file is
    memory-mapped, processes share them, too. `mean` and `std` are numbers for images of one channel, else (channels, 1,
    1).
    """

    images: Tensor
    indices: Tensor
    labels: Tensor
    mean: float | Tensor
    std: float | Tensor
    classes: int
    channels_last: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls, info: DatasetInfo, images: Bytes, labels: Labels, device: torch.device, channels_last: bool
    ) -> "ImageSet":
        """All of `images` and `labels`, on `device`. Batches are normalised with the statistics of `info`."""
        return cls(
            torch.from_numpy(images).to(device),
            torch.arange(len(labels), device=device),
            torch.from_numpy(labels).long().to(device),
            _by_channel(info.mean, device),
            _by_channel(info.std, device),
            len(info.classes),
            channels_last,
        )

    def only(self, positions: Indices) -> "ImageSet":
        """The subset at `positions` (n,). The images are not copied."""
        kept = torch.from_numpy(positions).to(self.images.device)
        return replace(self, indices=self.indices[kept], labels=self.labels[kept])

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of normalised images (batch, channels, height, width) and labels (batch,), each image once.

        Images have torch's default dtype.
        """
        for start in range(0, len(self), batch_size):
            batch = slice(start, start + batch_size)
            yield self._normalise(self._pixels(self.images[self.indices[batch]])), self.labels[batch]

    def shuffled(
        self, batch_size: int, generator: torch.Generator, augment: Transform | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Like `in_order`, but augmented and in an order drawn from `generator` (on the CPU).

        Labels of images that `augment` mixes are shares (batch, classes).
        A last batch of a single image is dropped, because batch norm cannot train on one 1x1 image.
        """
        order = torch.randperm(len(self), generator=generator).to(self.images.device)
        for batch in torch.split(order, batch_size):
            if len(batch) > 1 or batch_size == 1:
                pixels, labels = self._pixels(self.images[self.indices[batch]]), self.labels[batch]
                if augment is not None:
                    pixels, labels = augment(pixels, labels, batch)
                yield self._normalise(pixels), labels

    def shuffled_side_by_side(
        self, batch_size: int, generators: Sequence[torch.Generator], augment: Transform | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Like `shuffled` for several members at once, each in the order that its own generator draws.

        Yields images (batch, members * channels, height, width), with the members' channels side by side, and labels
        (members, batch). `augment` gets single images, as (batch * members, channels, height, width); it cannot mix
        them.
        """
        orders = torch.stack([torch.randperm(len(self), generator=generator) for generator in generators])
        for batch in torch.split(orders.to(self.images.device), batch_size, dim=1):
            if batch.shape[1] > 1 or batch_size == 1:
                pixels, labels = self._pixels(self.images[self.indices[batch.T]].flatten(1, 2)), self.labels[batch]
                if augment is not None:
                    single = torch.unflatten(pixels, 1, (-1, self.images.shape[1])).flatten(0, 1)
                    single, _ = augment(single, labels.T.flatten(), batch.T.flatten())
                    pixels = torch.unflatten(single, 0, (len(pixels), -1)).flatten(1, 2)
                yield self._normalise(pixels), labels

    def class_sizes(self) -> list[int]:
        """The number of images of each class."""
        sizes: list[int] = torch.bincount(self.labels, minlength=self.classes).tolist()
        return sizes

    def steps(self, batch_size: int) -> int:
        """The number of batches that `shuffled` yields."""
        return steps_per_epoch(len(self), batch_size)

    def _pixels(self, images: Tensor) -> Tensor:
        """`images` as numbers from 0 to 1."""
        return images.to(torch.get_default_dtype(), memory_format=self._layout()).div_(255)

    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def _normalise(self, pixels: Tensor) -> Tensor:
        """`pixels` in the set's memory layout, which transforms may have changed."""
        single = torch.unflatten(pixels, 1, (-1, self.images.shape[1]))  # with the members of a stack apart
        single.sub_(self.mean).div_(self.std)
        return pixels.contiguous(memory_format=self._layout())


def _by_channel(values: Sequence[float], device: torch.device) -> float | Tensor:
    """`values` (channels,) as (channels, 1, 1), so that they apply to images."""
    return values[0] if len(values) == 1 else torch.tensor(values, device=device)[:, None, None]
