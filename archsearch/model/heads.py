"""Heads: what turns the last block's output into logits, one for each class. No torch."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Fraction, Size
from archsearch.model.blocks.base import Activation, Padding, Window
from archsearch.model.lowering import Lowering

_MOST_HIDDEN = 100  # hidden layers of a head


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LinearHead:
    """Flatten, then a linear layer with `activation` and `norm` for each size in `hidden`, then one to the classes."""

    type: Literal["linear"] = "linear"
    hidden: Annotated[tuple[Size, ...], Field(strict=False, max_length=_MOST_HIDDEN)] = ()
    """sizes of the hidden linear layers"""
    activation: Activation = "relu"
    """activation function after each hidden layer"""
    norm: Literal["batch", "layer", "none"] = "none"
    """normalisation after each hidden layer's activation"""
    dropout: Fraction | Annotated[tuple[Fraction, ...], Field(strict=False, max_length=_MOST_HIDDEN + 1)] = 0.0
    """probability of dropout before every linear layer; a list has one for each of them"""
    bias: bool = True
    """bias of the linear layers"""

    def __post_init__(self) -> None:
        if isinstance(self.dropout, tuple) and len(self.dropout) != len(self.hidden) + 1:
            layers = len(self.hidden) + 1
            raise ValueError(
                f"`dropout` (={list(self.dropout)}) must have one value for each of {layers} linear layers"
            )

    def lower(self, lowering: Lowering, classes: int) -> None:
        """Append the layers of the head."""
        rates = self.dropout if isinstance(self.dropout, tuple) else (self.dropout,) * (len(self.hidden) + 1)
        lowering.flatten()
        for number, size in enumerate(self.hidden, 1):
            lowering.dropout(rates[number - 1], name=f"dropout{number}")
            lowering.linear(size, bias=self.bias, name=f"hidden{number}")
            lowering.activation(self.activation, f"activation{number}")
            lowering.vector_norm(self.norm, f"norm{number}")
        lowering.dropout(rates[-1])
        lowering.linear(classes, bias=self.bias)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GapHead:
    """Global average pooling, then one linear layer to the classes."""

    type: Literal["gap"] = "gap"
    dropout: Fraction = 0.0
    """probability of dropout before the linear layer"""
    bias: bool = True
    """bias of the linear layer"""

    def lower(self, lowering: Lowering, classes: int) -> None:
        """Append the layers of the head."""
        lowering.global_pool()
        lowering.flatten()
        lowering.dropout(self.dropout)
        lowering.linear(classes, bias=self.bias)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ConvHead:
    """A convolution to the classes, then global average pooling."""

    type: Literal["conv"] = "conv"
    hidden: Annotated[tuple[Size, ...], Field(strict=False, max_length=_MOST_HIDDEN)] = ()
    """channels of convolutions before the one to the classes"""
    kernel_size: Window = 1
    """side of the convolutions' windows, in pixels, or [height, width]"""
    padding: Padding = 0
    """pixels of padding on each side (same keeps height and width)"""
    activation: Activation = "relu"
    """activation function after each hidden convolution"""
    class_activation: Activation = "none"
    """activation function after the convolution to the classes, before the pooling"""
    dropout: Fraction = 0.0
    """probability of dropout before every convolution"""
    bias: bool = True
    """bias of the convolutions"""

    def lower(self, lowering: Lowering, classes: int) -> None:
        """Append the layers of the head."""
        for number, channels in enumerate(self.hidden, 1):
            lowering.dropout(self.dropout, name=f"dropout{number}")
            lowering.conv(
                channels, self.kernel_size, padding=self.padding, bias=self.bias, name=f"hidden{number}"
            )  # fmt: skip
            lowering.activation(self.activation, f"activation{number}")
        lowering.dropout(self.dropout)
        lowering.conv(classes, self.kernel_size, padding=self.padding, bias=self.bias)
        lowering.activation(self.class_activation)
        lowering.global_pool()
        lowering.flatten()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NoHead:
    """No layers: the blocks end with one channel for each class and 1x1 pixels, which are the logits."""

    type: Literal["none"] = "none"

    def lower(self, lowering: Lowering, classes: int) -> None:
        """Append the layers of the head."""
        if lowering.sized and lowering.shape != (classes, 1, 1):
            shape = "x".join(map(str, lowering.shape))
            lowering.report(
                f"`type` (=none) needs blocks that end with {classes}x1x1, one channel a class, got {shape}"
            )
        lowering.flatten()


Head: TypeAlias = LinearHead | GapHead | ConvHead | NoHead
HEADS: dict[str, type[Head]] = {"linear": LinearHead, "gap": GapHead, "conv": ConvHead, "none": NoHead}
