"""Images that live on a device, and normalised batches of them: one indexing operation a batch, no loop over images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.data.definitions import Definition, steps_per_epoch
from archsearch.data.files import Bytes

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ImageSet:
    """Images (N, channels, height, width) as uint8 and labels (N,) as int64, on one device."""

    images: Tensor
    labels: Tensor
    mean: float
    std: float
    channels_last: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls, definition: Definition, images: Bytes, labels: Bytes, device: torch.device, channels_last: bool
    ) -> "ImageSet":
        """Put arrays on `device`, to be normalised with the statistics of `definition`."""
        return cls(
            torch.from_numpy(images).to(device),
            torch.from_numpy(labels).long().to(device),
            definition.mean,
            definition.std,
            channels_last,
        )

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of normalised images (batch, channels, height, width) and labels (batch,), each image once."""
        for start in range(0, len(self), batch_size):
            chosen = slice(start, start + batch_size)
            yield self._prepare(self.images[chosen], None), self.labels[chosen]

    def shuffled(
        self, batch_size: int, generator: torch.Generator, augment: Transform | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Like `in_order`, in an order drawn from `generator` (of the CPU), augmented.

        A last batch of a single image is left out: batch norm cannot train on it where the image has shrunk to 1x1.
        """
        order = torch.randperm(len(self), generator=generator).to(self.images.device)
        for chosen in torch.split(order, batch_size):
            if len(chosen) > 1 or batch_size == 1:
                yield self._prepare(self.images[chosen], augment), self.labels[chosen]

    def steps(self, batch_size: int) -> int:
        """How many batches `shuffled` gives."""
        return steps_per_epoch(len(self), batch_size)

    def _prepare(self, images: Tensor, augment: Transform | None) -> Tensor:
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        pixels = images.to(torch.float32, memory_format=layout).div_(255)
        if augment is not None:
            pixels = augment(pixels)
        return pixels.sub_(self.mean).div_(self.std)
