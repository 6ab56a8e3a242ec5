"""Layers that compute in float32 within a network that computes in bfloat16, because torch's bfloat16 is slower."""

import torch
from torch import Tensor, nn

_FEW = 4  # channels


class InFloat32(nn.Module):
    """Computes `layer` in float32. (batch, channels, height, width) -> the shape that `layer` gives, the same type."""

    def __init__(self, layer: nn.GroupNorm | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            outputs: Tensor = self.layer(images.to(self.layer.weight.dtype))
        return outputs.to(images.dtype)


def is_slow_in_bfloat16(layer: nn.Module) -> bool:
    """Whether torch takes 1.5 to 20 times as long for `layer` in bfloat16 as in float32, by measurement.

    These are convolutions with few channels per group. Depthwise ones of up to 3x3 are fast, unless they have a stride,
    a dilation, or more outputs than inputs.
    """
    if type(layer) is not nn.Conv2d or layer.groups == 1 or layer.in_channels // layer.groups >= _FEW:
        return False
    is_depthwise = layer.in_channels == layer.out_channels == layer.groups
    is_simple = layer.stride == layer.dilation == (1, 1) and max(layer.kernel_size) <= 3
    return not (is_depthwise and is_simple)
