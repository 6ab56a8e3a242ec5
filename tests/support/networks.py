"""Networks of one's own, that are no model of archsearch's."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, images: Tensor) -> Tensor:
        return images + functional.relu(self.norm(self.conv(images)))


class Scale(nn.Module):
    """A factor for each channel: a layer of one's own that treats each channel separately."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factors = nn.Sequential(nn.Conv2d(channels, channels, 1, groups=channels, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        scaled: Tensor = self.factors(images)
        return scaled


class Net(nn.Module):
    """A network with a branch, a parameter of its own, and a layer that is used twice."""

    def __init__(self, channels: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 5, stride=3, bias=False)
        self.scale = nn.Parameter(torch.ones(1))
        self.block = Residual(channels)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = self.block(self.block(self.stem(images) * self.scale))
        logits: Tensor = self.linear(self.dropout(features.mean(dim=(2, 3))))
        return logits


def network(**arguments: Any) -> Net:
    torch.manual_seed(3)
    return Net(**arguments)
