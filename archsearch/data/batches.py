"""Images that live on a device, and normalised batches of them: one indexing operation a batch, no loop over images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archsearch.data.files import Bytes
from archsearch.data.info import DatasetInfo, steps_per_epoch
from archsearch.data.load import Indices

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ImageSet:
    """Some images of a data set: those at `chosen` (n,) of `images` (N, channels, height, width), and their labels.

    `images` are uint8, `labels` (n,) int64, all on one device. Different sets share the same `images`, and so do, where
    a file is mapped, different processes.
    """

    images: Tensor
    chosen: Tensor
    labels: Tensor
    mean: float
    std: float
    channels_last: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls, info: DatasetInfo, images: Bytes, labels: Bytes, device: torch.device, channels_last: bool
    ) -> "ImageSet":
        """Put arrays on `device`, to be normalised with the statistics of `info`."""
        return cls(
            torch.from_numpy(images).to(device),
            torch.arange(len(labels), device=device),
            torch.from_numpy(labels).long().to(device),
            info.mean,
            info.std,
            channels_last,
        )

    def only(self, chosen: Indices) -> "ImageSet":
        """Those at the positions `chosen` (n,); the images themselves are not copied."""
        positions = torch.from_numpy(chosen).to(self.images.device)
        return replace(self, chosen=self.chosen[positions], labels=self.labels[positions])

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of normalised images (batch, channels, height, width) and labels (batch,), each image once."""
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            yield self._prepare(self.images[self.chosen[part]], None), self.labels[part]

    def shuffled(
        self, batch_size: int, generator: torch.Generator, augment: Transform | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Like `in_order`, in an order drawn from `generator` (of the CPU), augmented.

        A last batch of a single image is left out: batch norm cannot train on it where the image has shrunk to 1x1.
        """
        order = torch.randperm(len(self), generator=generator).to(self.images.device)
        for part in torch.split(order, batch_size):
            if len(part) > 1 or batch_size == 1:
                yield self._prepare(self.images[self.chosen[part]], augment), self.labels[part]

    def shuffled_side_by_side(
        self, batch_size: int, generators: Sequence[torch.Generator], augment: Transform | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Like `shuffled` for several members at once, each in the order that its own generator draws.

        Gives images (batch, members * channels, height, width), the members' channels side by side, and labels
        (members, batch). `augment` sees each image alone, as (batch * members, channels, height, width).
        """
        channels = self.images.shape[1]

        def each(pixels: Tensor) -> Tensor:
            assert augment is not None
            apart = torch.unflatten(pixels, 1, (-1, channels)).flatten(0, 1)
            return torch.unflatten(augment(apart), 0, (len(pixels), -1)).flatten(1, 2)

        orders = torch.stack([torch.randperm(len(self), generator=generator) for generator in generators])
        for part in torch.split(orders.to(self.images.device), batch_size, dim=1):
            if part.shape[1] > 1 or batch_size == 1:
                images = self.images[self.chosen[part.T]].flatten(1, 2)
                yield self._prepare(images, None if augment is None else each), self.labels[part]

    def steps(self, batch_size: int) -> int:
        """How many batches `shuffled` gives."""
        return steps_per_epoch(len(self), batch_size)

    def _prepare(self, images: Tensor, augment: Transform | None) -> Tensor:
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        pixels = images.to(torch.float32, memory_format=layout).div_(255)
        if augment is not None:
            pixels = augment(pixels)
        return pixels.sub_(self.mean).div_(self.std)
