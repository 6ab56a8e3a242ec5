"""Blocks that weigh their input: channel by channel, or pixel by pixel."""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Size
from archsearch.model.blocks.base import Activation, Block, register_block
from archsearch.model.lowering import Lowering

Gate = Literal["sigmoid", "hardsigmoid"]


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class SqueezeExciteBlock(Block):
    """Multiplies each channel by a weight that depends on the means of all channels (Hu et al., arXiv:1709.01507)."""

    inherits: ClassVar = ("activation",)

    type: Literal["squeeze_excite"] = "squeeze_excite"
    reduction: Size = 16
    """the input's channels, divided by those between the two 1x1 convolutions (at least 1)"""
    activation: Activation = "relu"
    """activation function between the two convolutions"""
    gate: Gate = "sigmoid"
    """what turns the last convolution's output into weights"""
    bias: bool = True
    """bias of the convolutions"""

    def lower(self, lowering: Lowering) -> None:
        """The branch of the weights, and the product."""
        channels = lowering.channels

        def append_weights() -> None:
            lowering.global_pool()
            lowering.conv(max(1, channels // self.reduction), 1, bias=self.bias, name="squeeze")
            lowering.activation(self.activation)
            lowering.conv(channels, 1, bias=self.bias, name="excite")
            lowering.activation(self.gate, "gate")

        lowering.parallel("branches", "multiply", {"input": lambda: None, "weights": append_weights})


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class SpatialAttentionBlock(Block):
    """Multiplies each pixel by a weight that depends on its neighbours' mean and maximum over the channels.

    The spatial half of CBAM (Woo et al., arXiv:1807.06521).
    """

    type: Literal["spatial_attention"] = "spatial_attention"
    kernel_size: Size = 7
    """side of the convolution's window, in pixels; an odd number"""
    gate: Gate = "sigmoid"
    """what turns the convolution's output into weights"""
    bias: bool = False
    """bias of the convolution"""

    def __post_init__(self) -> None:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` (={self.kernel_size}) must be odd, so that each pixel has its own weight")

    def lower(self, lowering: Lowering) -> None:
        """The branch of the weights, and the product."""

        def append_weights() -> None:
            lowering.channel_statistics()
            lowering.conv(1, self.kernel_size, padding=self.kernel_size // 2, bias=self.bias)
            lowering.activation(self.gate, "gate")

        lowering.parallel("branches", "multiply", {"input": lambda: None, "weights": append_weights})
