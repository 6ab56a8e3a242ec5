"""A network with its preprocessing: from raw pixels to logits, and the names of the classes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from archsearch.model.tree import Shape


class Preprocessing(nn.Module):
    """Raw pixels to the normalised images that a network of images of `shape` = (channels, height, width) takes.

    Takes uint8, as (N, height, width) if there is one channel, (N, channels, height, width) or (N, height, width,
    channels). What fits both of the last two is taken as channels first. `mean` and `std` are those of pixels scaled to
    [0, 1], one for all channels or one for each. Raises `ValueError` for any other dtype or shape.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        for name, values in (("mean", mean), ("std", std)):
            column = torch.tensor(np.atleast_1d(values), dtype=torch.float32).reshape(-1, 1, 1)
            self.register_buffer(name, column, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return (self.channels_first(pixels).to(self.mean.dtype) / 255 - self.mean) / self.std

    def channels_first(self, pixels: Tensor) -> Tensor:
        """`pixels` as (N, channels, height, width). Raises `ValueError`."""
        channels, height, width = self.shape
        size = tuple(pixels.shape[1:])
        if pixels.dtype == torch.uint8 and size == self.shape:
            return pixels
        if pixels.dtype == torch.uint8 and size == (height, width, channels):
            return pixels.permute(0, 3, 1, 2).contiguous()
        if pixels.dtype == torch.uint8 and channels == 1 and size == (height, width):
            return pixels.unsqueeze(1)
        grey = f"(N, {height}, {width}), " if channels == 1 else ""
        rule = f"{grey}(N, {channels}, {height}, {width}) or (N, {height}, {width}, {channels})"
        name = str(pixels.dtype).removeprefix("torch.")
        raise ValueError(f"got images of {name} {tuple(pixels.shape)}, must be uint8 {rule}")

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        mean, std = (tuple(round(float(value), 4) for value in column.flatten()) for column in (self.mean, self.std))
        return f"{self.shape}, mean={mean}, std={std}"


class Classifier(nn.Module):
    """`network` after `preprocessing`: raw pixels to logits (N, classes), whose `class_names` are in their order."""

    def __init__(self, preprocessing: Preprocessing, network: nn.Module, class_names: Sequence[str]) -> None:
        super().__init__()
        self.preprocessing, self.network = preprocessing, network
        self.class_names = tuple(class_names)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(self.preprocessing(pixels))
        return logits


def as_images(pixels: Tensor) -> Tensor:
    """`pixels` (N, channels, height, width) as image files have them: (N, height, width) if grey, else channels last.

    This is what models that have left archsearch take.
    """
    return pixels[:, 0] if pixels.shape[1] == 1 else pixels.permute(0, 2, 3, 1).contiguous()
