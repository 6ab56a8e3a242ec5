"""Branches that see the same input."""

from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal, Self

from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT
from archsearch.model.blocks.base import Block, Branches, Repeat, lower_blocks, register_block, scaled_blocks
from archsearch.model.lowering import Lowering


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class ParallelBlock(Block):
    """Branches of blocks whose outputs are joined: inception (arXiv:1409.4842), fire (arXiv:1602.07360).

    A branch without blocks passes its input on.
    """

    nested: ClassVar = {"branches": "branches"}

    type: Literal["parallel"] = "parallel"
    branches: Branches = ()
    """branches by name, each with its blocks by name"""
    join: Literal["concat", "add", "multiply"] = "concat"
    """concat joins along the channels; add and multiply need equal shapes"""
    repeat: Repeat = 1
    """how often the block comes, one after another"""

    def scaled(self, width: float, channels: int) -> tuple[Self, int]:
        """Each block of each branch on its own."""
        branches, outputs = [], []
        for name, blocks in self.branches:
            scaled, output = scaled_blocks(blocks, width, channels)
            branches.append((name, scaled))
            outputs.append(output)
        return replace(self, branches=tuple(branches)), sum(outputs) if self.join == "concat" else max(outputs)

    def lower(self, lowering: Lowering) -> None:
        """All branches, then the join."""
        setting = lowering.setting
        lowering.parallel(
            "branches",
            self.join,
            {
                name: partial(lower_blocks, blocks, lowering, f"{setting}.branches.{name}")
                for name, blocks in self.branches
            },
        )
