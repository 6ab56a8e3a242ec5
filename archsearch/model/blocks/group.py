"""Blocks in a block: a named group, which can be repeated."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT
from archsearch.model.blocks.base import (
    Block,
    Blocks,
    Repeat,
    Window,
    lower_blocks,
    register_block,
    scaled_blocks,
    with_stride,
)
from archsearch.model.lowering import Lowering


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class GroupBlock(Block):
    """Blocks one after another, under one name."""

    nested: ClassVar = {"blocks": "blocks"}

    type: Literal["group"] = "group"
    blocks: Blocks = ()
    """the blocks by name"""
    stride: Window = 1
    """stride of the first block that has one, in the first repeat"""
    repeat: Repeat = 1
    """how often the blocks come, one after another"""

    def scaled(self, width: float, channels: int) -> tuple[Self, int]:
        """Each block on its own."""
        blocks, channels = scaled_blocks(self.blocks, width, channels)
        return replace(self, blocks=blocks), channels

    def lower(self, lowering: Lowering) -> None:
        """The layers of all blocks."""
        blocks = with_stride(self.blocks, self.stride, lowering)
        lower_blocks(blocks, lowering, f"{lowering.setting}.blocks")
