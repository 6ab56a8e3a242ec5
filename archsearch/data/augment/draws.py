"""Random numbers of which each image of a batch gets its own."""

import torch
from torch import Tensor


def uniform(count: int, extent: float, device: torch.device) -> Tensor:
    """Numbers (count,) between -extent and extent."""
    return (torch.rand(count, device=device) * 2 - 1) * extent


def happens(count: int, p: float, device: torch.device) -> Tensor:
    """Booleans (count,), each true with probability `p`."""
    return torch.rand(count, device=device) < p
