"""A convolution with activation, norm and dropout in any order, and an optional pooling."""

import math
from dataclasses import replace
from typing import Literal, Self

from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Size
from archsearch.model.blocks.base import Block, Defaults, Repeat, Window, register_block, scale_channels
from archsearch.model.lowering import Lowering

Groups = Size | Literal["depthwise"]
Pool = Literal["max", "avg", "none"]


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class ConvBlock(Defaults, Block):
    """A convolution, activation, norm and dropout in any order, then an optional pooling.

    `padding: same` keeps height and width (stride 1 only). `groups: depthwise` is one group per channel. Norm `layer`
    is `GroupNorm(1, channels)`; `instance` has weight and bias like the others. Dropout `channel` drops whole channels
    (Dropout2d), `element` single values (Dropout).
    """

    type: Literal["conv"] = "conv"
    channels: Size
    """output channels, before `width`"""
    stride: Window = 1
    """stride of the convolution, in pixels"""
    dilation: Window = 1
    """distance between the window's pixels"""
    groups: Groups = 1
    """groups of channels (depthwise is one per channel)"""
    pool: Pool = "none"
    """pooling after the block's steps"""
    pool_size: Window = 2
    """side of the pooling window, in pixels"""
    pool_stride: Window | None = None
    """stride of the pooling window, in pixels; null is `pool_size`"""
    repeat: Repeat = 1
    """how often the block comes, one after another; `stride` is that of the first"""

    def scaled(self, width: float, channels: int) -> tuple[Self, int]:
        """A multiple of `groups`, and of `norm_groups` with group norm."""
        unit = channels if self.groups == "depthwise" else self.groups
        if self.norm == "group":
            unit = math.lcm(unit, self.norm_groups)
        block = replace(self, channels=scale_channels(self.channels, width, unit))
        return block, block.channels

    def lower(self, lowering: Lowering) -> None:
        """The four steps in their order, then the pooling."""
        for step in self.order:
            if step == "conv":
                groups = lowering.channels if self.groups == "depthwise" else self.groups
                lowering.conv(
                    self.channels, self.kernel_size, stride=self.stride, padding=self.padding, dilation=self.dilation,
                    groups=groups, bias=self.bias,
                )  # fmt: skip
            elif step == "activation":
                lowering.activation(self.activation)
            elif step == "norm":
                lowering.norm(self.norm, self.norm_groups)
            else:
                lowering.dropout(self.dropout, self.dropout_kind)
        if self.pool != "none":
            lowering.pool(self.pool, self.pool_size, self.pool_stride)
