"""What every block has, the settings that blocks inherit from the model, and the registry of blocks. No torch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar, get_args, get_type_hints

from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Fraction, Size, names_of
from archsearch.model.lowering import Lowering, pair
from archsearch.model.order import PLACES

Activation = Literal["relu", "leaky_relu", "gelu", "silu", "elu", "tanh", "relu6", "hardswish", "mish", "none"]
Norm = Literal["batch", "group", "layer", "instance", "none"]
DropoutKind = Literal["channel", "element"]
Step = Literal["conv", "activation", "norm", "dropout"]
Window = Size | Annotated[tuple[Size, Size], Field(strict=False)]
Around = Annotated[int, Field(ge=0, le=65_536)]
Padding = Around | Annotated[tuple[Around, Around], Field(strict=False)] | Literal["same"]
Repeat = Annotated[int, Field(ge=1, le=1000)]
STEPS: tuple[Step, ...] = ("conv", "activation", "norm", "dropout")
_EACH_ONCE: dict[str, JsonValue] = {"minItems": len(STEPS), "maxItems": len(STEPS), "uniqueItems": True}  # for editors

# Blocks in a block: names and blocks, in order. The parser fills them in.
Blocks: TypeAlias = tuple[tuple[str, Any], ...]
Branches: TypeAlias = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Defaults:
    """Settings of the model that every block that has them inherits unless it sets them itself."""

    kernel_size: Window = 3
    """side of the convolution's window, in pixels, or [height, width]"""
    padding: Padding = 0
    """pixels of padding on each side, or [vertical, horizontal] (same keeps height and width, with stride 1)"""
    bias: bool = True
    """bias of the convolution"""
    activation: Activation = "relu"
    """activation function"""
    norm: Norm = "batch"
    """normalisation; layer is GroupNorm with one group"""
    norm_groups: Size = 1
    """number of groups of group norm"""
    dropout: Fraction = 0.0
    """probability of dropout"""
    dropout_kind: DropoutKind = "channel"
    """drop whole channels (Dropout2d) or single values (Dropout)"""
    order: Annotated[tuple[Step, ...], Field(strict=False, json_schema_extra=_EACH_ONCE)] = STEPS
    """order of the block's four steps"""

    def __post_init__(self) -> None:
        if sorted(self.order) != sorted(STEPS):
            raise ValueError(f"`order` (={list(self.order)}) must name each of {', '.join(STEPS)} once")


@plain_dataclass(frozen=True)
class Block(ABC):
    """A block of a model: a frozen pydantic dataclass with its settings, registered with `register_block`."""

    nested: ClassVar[Mapping[str, Literal["blocks", "branches"]]] = {}
    """The settings that hold blocks, or branches of blocks."""
    inherits: ClassVar[tuple[str, ...]] = ()
    """The settings of `Defaults` that the block takes from the model. A subclass of `Defaults` takes all."""

    def scaled(self, width: float, channels: int) -> tuple[Self, int]:
        """The block at `width`, and the channels of its output; `channels` are those of its input at that width."""
        del width
        return self, channels

    @abstractmethod
    def lower(self, lowering: Lowering) -> None:
        """Append the block's layers."""


T = TypeVar("T")
_registry: dict[str, type[Block]] = {}


def register_block(cls: type[T]) -> type[T]:
    """Register a subclass of `Block` under the value of its `type`, a Literal of one string. A decorator."""
    if not issubclass(cls, Block):
        raise TypeError(f"{cls.__qualname__} must be a subclass of archsearch.model.blocks.base.Block")
    (name,) = get_args(get_type_hints(cls)["type"])
    if set(PLACES) & set(names_of(cls)):
        raise ValueError(f"{cls.__qualname__} cannot have settings named {' or '.join(PLACES)}: every block has them")
    if _registry.setdefault(name, cls) is not cls:
        raise ValueError(f"there is a block of type {name} already: {_registry[name].__qualname__}")
    return cls


def registered_blocks() -> Mapping[str, type[Block]]:
    """The blocks by `type`, in alphabetical order."""
    return dict(sorted(_registry.items()))


def scale_channels(channels: int, width: float, unit: int = 1) -> int:
    """`channels` at `width`: at width 1 `channels`, otherwise the nearest multiple of `unit`, at least one.

    Halves are rounded up.
    """
    if width == 1:
        return channels
    return max(1, math.floor(channels * width / unit + 0.5)) * unit


def inherited_settings(cls: type[Block]) -> tuple[str, ...]:
    """The settings that blocks of this class take from the model."""
    return names_of(Defaults) if issubclass(cls, Defaults) else cls.inherits


def flat_settings(block: object) -> dict[str, object]:
    """The settings of a block or a head by name; those of blocks in it by path, such as `body.conv1.channels`."""
    nested: Mapping[str, str] = getattr(block, "nested", {})
    flat: dict[str, object] = {}
    for name in names_of(type(block)):
        value = getattr(block, name)
        if name not in nested:
            flat[name] = value
            continue
        groups = {name: value} if nested[name] == "blocks" else {f"{name}.{branch}": blocks for branch, blocks in value}
        for path, blocks in groups.items():
            flat[path] = ", ".join(inner for inner, _ in blocks)
            for inner, child in blocks:
                flat |= {f"{path}.{inner}.{key}": setting for key, setting in flat_settings(child).items()}
    return flat


def scaled_blocks(blocks: Blocks, width: float, channels: int) -> tuple[Blocks, int]:
    """`blocks` at `width`, and the channels of their output; `channels` are those of their input at that width."""
    scaled = []
    for name, block in blocks:
        at_width, channels = block.scaled(width, channels)
        scaled.append((name, at_width))
    return tuple(scaled), channels


def lower_blocks(blocks: Blocks, lowering: Lowering, setting: str) -> None:
    """Append the layers of `blocks`, whose settings have the path `setting`."""
    for name, block in blocks:
        with lowering.block(name, f"{setting}.{name}"):
            lower_repeated(block, lowering)


def lower_repeated(block: Block, lowering: Lowering) -> None:
    """Append the layers of `block` as often as its `repeat` says. Its `stride` is that of the first repeat."""
    count = getattr(block, "repeat", 1)
    if count == 1:
        block.lower(lowering)
        return
    for number in range(count):
        with lowering.sequence(str(number)):
            block.lower(lowering)
        if number == 0 and hasattr(block, "stride"):
            block = replace(block, stride=1)  # type: ignore[call-arg] # not every block has one


def with_stride(blocks: Blocks, stride: Window, lowering: Lowering) -> Blocks:
    """`blocks`, of which the first that has a `stride` has this one. Stride 1 leaves them as they are."""
    if pair(stride) == (1, 1):
        return blocks
    for position, (name, block) in enumerate(blocks):
        if hasattr(block, "stride"):
            return (*blocks[:position], (name, replace(block, stride=stride)), *blocks[position + 1 :])
    lowering.report(f"`stride` (={stride}) needs a block with a stride, such as a convolution")
    return blocks
