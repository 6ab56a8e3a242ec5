"""The blocks of small networks: depthwise separable convolutions and inverted residuals."""

from dataclasses import replace
from typing import Literal, Self

from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Size
from archsearch.model.blocks.base import Block, Defaults, Repeat, Window, register_block, scale_channels
from archsearch.model.lowering import Lowering, pair


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _MobileBlock(Defaults, Block):
    """What both blocks have."""

    channels: Size
    """output channels, before `width`"""
    stride: Window = 1
    """stride of the depthwise convolution, in pixels"""
    dilation: Window = 1
    """distance between the pixels of the depthwise window"""
    repeat: Repeat = 1
    """how often the block comes, one after another; `stride` is that of the first"""

    def scaled(self, width: float, channels: int) -> tuple[Self, int]:
        """A multiple of `norm_groups` with group norm."""
        del channels
        unit = self.norm_groups if self.norm == "group" else 1
        block = replace(self, channels=scale_channels(self.channels, width, unit))
        return block, block.channels

    def add_conv(
        self, lowering: Lowering, name: str, channels: int, *, depthwise: tuple[Window, Window] | None, linear: bool
    ) -> None:
        """A convolution with the steps in their order, as a layer sequence `name`.

        1x1, or depthwise with a stride and a dilation. Without activation and dropout if `linear`.
        """
        with lowering.sequence(name):
            for step in self.order:
                if step == "conv" and depthwise is not None:
                    stride, dilation = depthwise
                    lowering.conv(
                        channels, self.kernel_size, stride=stride, padding=self.padding, dilation=dilation,
                        groups=channels, bias=self.bias,
                    )  # fmt: skip
                elif step == "conv":
                    lowering.conv(channels, 1, bias=self.bias)
                elif step == "activation" and not linear:
                    lowering.activation(self.activation)
                elif step == "norm":
                    lowering.norm(self.norm, self.norm_groups)


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class SeparableBlock(_MobileBlock):
    """A depthwise convolution, then a 1x1 convolution (Howard et al., arXiv:1704.04861), then dropout.

    Both have norm and activation, in the given order.
    """

    type: Literal["separable"] = "separable"

    def lower(self, lowering: Lowering) -> None:
        """The two convolutions."""
        depthwise = self.stride, self.dilation
        self.add_conv(lowering, "depthwise", lowering.channels, depthwise=depthwise, linear=False)
        self.add_conv(lowering, "pointwise", self.channels, depthwise=None, linear=False)
        lowering.dropout(self.dropout, self.dropout_kind)


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class InvertedResidualBlock(_MobileBlock):
    """A 1x1 convolution to more channels, a depthwise one, and a 1x1 one back without activation.

    The input is added to the output where the stride is 1 and the channels agree (Sandler et al., arXiv:1801.04381).
    """

    type: Literal["inverted_residual"] = "inverted_residual"
    expansion: Size = 6
    """channels of the depthwise convolution, in multiples of the input's; 1 leaves the first convolution out"""
    shortcut: Literal["identity", "conv"] = "identity"
    """with stride 1 and other channels than the input's: none, or a 1x1 convolution with `norm`"""

    def lower(self, lowering: Lowering) -> None:
        """The three convolutions, and the addition."""
        inputs = lowering.channels
        if pair(self.stride) != (1, 1) or (inputs != self.channels and self.shortcut == "identity"):
            self._append_body(lowering, inputs)
            return

        def append_shortcut() -> None:
            if inputs != self.channels:
                lowering.conv(self.channels, 1, bias=self.bias)
                lowering.norm(self.norm, self.norm_groups)

        branches = {"body": lambda: self._append_body(lowering, inputs), "shortcut": append_shortcut}
        lowering.parallel("branches", "add", branches)

    def _append_body(self, lowering: Lowering, inputs: int) -> None:
        hidden = inputs * self.expansion
        if self.expansion > 1:
            self.add_conv(lowering, "expand", hidden, depthwise=None, linear=False)
        self.add_conv(lowering, "depthwise", hidden, depthwise=(self.stride, self.dilation), linear=False)
        self.add_conv(lowering, "project", self.channels, depthwise=None, linear=True)
        lowering.dropout(self.dropout, self.dropout_kind)
