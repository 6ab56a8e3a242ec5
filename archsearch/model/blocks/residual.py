"""Blocks with a shortcut: their input is added to their output."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Fraction, Size
from archsearch.model.blocks.base import (
    Activation,
    Block,
    Blocks,
    Norm,
    Repeat,
    Window,
    lower_blocks,
    register_block,
    scaled_blocks,
    with_stride,
)
from archsearch.model.lowering import Lowering
from archsearch.model.tree import Pair, Shape


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class ResidualBlock(Block):
    """Any blocks with a shortcut (He et al., arXiv:1512.03385). Where shapes agree, the shortcut is the identity.

    Otherwise it is a 1x1 convolution with `norm` (option B of the paper), or it takes every `stride`-th pixel and pads
    the channels with zeros (option A). For pre-activation (arXiv:1603.05027), set `activation: none` here, and
    `order: [norm, activation, conv, dropout]` in the body.
    """

    nested: ClassVar = {"body": "blocks"}
    inherits: ClassVar = ("bias", "norm", "norm_groups", "activation")

    type: Literal["residual"] = "residual"
    body: Blocks = ()
    """the blocks by name"""
    stride: Window = 1
    """stride of the first block of the body that has one, in the first repeat"""
    repeat: Repeat = 1
    """how often the block comes, one after another"""
    shortcut: Literal["conv", "pad"] = "conv"
    """shortcut where input and output differ: a 1x1 convolution, or padding with zeros"""
    bias: bool = True
    """bias of the shortcut's convolution"""
    norm: Norm = "batch"
    """normalisation after the shortcut's convolution"""
    norm_groups: Size = 1
    """number of groups of group norm"""
    activation: Activation = "relu"
    """activation function after the addition"""
    drop: Fraction = 0.0
    """stochastic depth: probability that an image skips the body in training (Huang et al., arXiv:1603.09382)"""

    def scaled(self, width: float, channels: int) -> tuple[Self, int]:
        """Each block of the body on its own."""
        body, channels = scaled_blocks(self.body, width, channels)
        return replace(self, body=body), channels

    def lower(self, lowering: Lowering) -> None:
        """Body and shortcut, the addition, and the activation."""
        begin = lowering.shape, lowering.jumps
        end: list[tuple[Shape, Pair]] = []

        def append_body() -> None:
            body = with_stride(self.body, self.stride, lowering)
            lower_blocks(body, lowering, f"{lowering.setting}.body")
            lowering.stochastic_depth(self.drop)
            end.append((lowering.shape, lowering.jumps))

        def append_shortcut() -> None:
            shape, jumps = end[0]
            if (shape, jumps) == begin:
                return
            stride = jumps[0] // begin[1][0], jumps[1] // begin[1][1]
            if self.shortcut == "pad":
                lowering.pad_channels(shape[0], stride)
            else:
                lowering.conv(shape[0], 1, stride=stride, bias=self.bias)
                lowering.norm(self.norm, self.norm_groups)

        lowering.parallel("branches", "add", {"body": append_body, "shortcut": append_shortcut})
        lowering.activation(self.activation)
