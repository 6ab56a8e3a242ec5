"""Group norm in float32 within a network that computes in bfloat16: torch's own is slower in bfloat16."""

import torch
from torch import Tensor, nn


class Float32Norm(nn.Module):
    """Computes `norm` in float32. (batch, channels, height, width) -> the same shape and type."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            outputs: Tensor = self.norm(images.to(self.norm.weight.dtype))
        return outputs.to(images.dtype)
