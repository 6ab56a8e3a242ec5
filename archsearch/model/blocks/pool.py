"""Blocks that only pool."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT
from archsearch.model.blocks.base import Around, Block, Window, register_block
from archsearch.model.lowering import Lowering


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class PoolBlock(Block):
    """A block that only pools. `pool_stride` is `pool_size` unless set."""

    type: Literal["pool"] = "pool"
    pool: Literal["max", "avg", "blur"] = "max"
    """kind of pooling; blur is a binomial filter (Zhang, arXiv:1904.11486)"""
    pool_size: Window = 2
    """side of the pooling window, in pixels, or [height, width]"""
    pool_stride: Window | None = None
    """stride of the pooling window, in pixels; null is `pool_size`, and 2 for blur"""
    padding: Around | Annotated[tuple[Around, Around], Field(strict=False)] = 0
    """pixels on each side, which do not count for an average; blur reflects the image instead"""
    ceil_mode: bool = False
    """keep the last, incomplete window"""

    def __post_init__(self) -> None:
        if self.pool == "blur":
            if not isinstance(self.pool_size, int) or not isinstance(self.pool_stride, int | None):
                raise ValueError("`pool` (=blur) needs one `pool_size` and one `pool_stride` for both directions")
            if self.padding != 0 or self.ceil_mode:
                raise ValueError("`pool` (=blur) has no `padding` and no `ceil_mode`: it reflects the image")

    def lower(self, lowering: Lowering) -> None:
        """One layer."""
        if self.pool == "blur":
            assert isinstance(self.pool_size, int)
            stride = 2 if self.pool_stride is None else self.pool_stride
            assert isinstance(stride, int)
            lowering.blur_pool(self.pool_size, stride)
        else:
            lowering.pool(
                self.pool, self.pool_size, self.pool_stride, padding=self.padding, ceil_mode=self.ceil_mode
            )  # fmt: skip


@register_block
@dataclass(frozen=True, kw_only=True, config=STRICT)
class AdaptivePoolBlock(Block):
    """Pooling to an output of a given size, whatever the input's."""

    type: Literal["adaptive_pool"] = "adaptive_pool"
    pool: Literal["max", "avg"] = "avg"
    """kind of pooling"""
    output_size: Window
    """height and width of the output, in pixels, or [height, width]"""

    def lower(self, lowering: Lowering) -> None:
        """One layer."""
        lowering.adaptive_pool(self.pool, self.output_size)
