"""The model language: the settings of a model, its blocks and its head, validated.

A model is a mapping of named blocks and a head. `parse_model` turns the composed configuration into a `ModelSpec`, in
which every block has its channels (after `width`) and all the settings that it inherits from the model. Whether the
blocks fit together is checked in `archsearch.model.plan`.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Fraction, Size, format_value, names_of, read, read_typed
from archsearch.errors import Problem, did_you_mean

Activation = Literal["relu", "leaky_relu", "gelu", "silu", "elu", "tanh", "relu6", "hardswish", "mish", "none"]
Norm = Literal["batch", "group", "layer", "instance", "none"]
DropoutKind = Literal["channel", "element"]
Pool = Literal["max", "avg", "none"]
Step = Literal["conv", "activation", "norm", "dropout"]
Padding = Annotated[int, Field(ge=0, le=65_536)] | Literal["same"]
Groups = Size | Literal["depthwise"]
_MOST_HIDDEN = 100  # hidden layers of a head
STEPS: tuple[Step, ...] = ("conv", "activation", "norm", "dropout")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Defaults:
    """Settings of the model that every convolution block inherits unless it sets them itself."""

    kernel_size: Size = 3
    """side of the convolution's window, in pixels"""
    padding: Padding = 0
    """pixels of padding on each side (same keeps height and width, with stride 1 only)"""
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
    order: Annotated[tuple[Step, ...], Field(strict=False)] = STEPS
    """order of the block's four steps"""

    def __post_init__(self) -> None:
        if sorted(self.order) != sorted(STEPS):
            raise ValueError(f"`order` (={list(self.order)}) must name each of {', '.join(STEPS)} once")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ConvBlock(Defaults):
    """A convolution, activation, norm and dropout in any order, then an optional pooling.

    `padding: same` keeps height and width (stride 1 only). `groups: depthwise` is one group per channel. Norm `layer`
    is `GroupNorm(1, channels)`; `instance` has weight and bias like the others. Dropout `channel` drops whole channels
    (Dropout2d), `element` single values (Dropout).
    """

    type: Literal["conv"] = "conv"
    channels: Size
    """output channels, before `width`"""
    stride: Size = 1
    """stride of the convolution, in pixels"""
    dilation: Size = 1
    """distance between the window's pixels"""
    groups: Groups = 1
    """groups of channels (depthwise is one per channel)"""
    pool: Pool = "none"
    """pooling after the block's steps"""
    pool_size: Size = 2
    """side of the pooling window, in pixels"""
    pool_stride: Size | None = None
    """stride of the pooling window, in pixels; null is `pool_size`"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PoolBlock:
    """A block that only pools. `pool_stride` is `pool_size` unless set."""

    type: Literal["pool"] = "pool"
    pool: Literal["max", "avg"] = "max"
    """kind of pooling"""
    pool_size: Size = 2
    """side of the pooling window, in pixels"""
    pool_stride: Size | None = None
    """stride of the pooling window, in pixels; null is `pool_size`"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LinearHead:
    """Flatten, then a linear layer with `activation` for each size in `hidden`, then one to the classes."""

    type: Literal["linear"] = "linear"
    hidden: Annotated[tuple[Size, ...], Field(strict=False, max_length=_MOST_HIDDEN)] = ()
    """sizes of the hidden linear layers"""
    activation: Activation = "relu"
    """activation function after each hidden layer"""
    dropout: Fraction = 0.0
    """probability of dropout before every linear layer"""
    bias: bool = True
    """bias of the linear layers"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GapHead:
    """Global average pooling, then one linear layer to the classes."""

    type: Literal["gap"] = "gap"
    dropout: Fraction = 0.0
    """probability of dropout before the linear layer"""
    bias: bool = True
    """bias of the linear layer"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ConvHead:
    """A 1x1 convolution to the classes, then global average pooling."""

    type: Literal["conv"] = "conv"
    dropout: Fraction = 0.0
    """probability of dropout before the convolution"""
    bias: bool = True
    """bias of the convolution"""


Block: TypeAlias = ConvBlock | PoolBlock
Head: TypeAlias = LinearHead | GapHead | ConvHead

# The classes that `type:` names.
BLOCKS: dict[str, type[Block]] = {"conv": ConvBlock, "pool": PoolBlock}
HEADS: dict[str, type[Head]] = {"linear": LinearHead, "gap": GapHead, "conv": ConvHead}

_STRUCTURE = ("width", "blocks", "head")

# Block names become attributes of an nn.Sequential. These are its own attributes, and `head` (a test checks the list).
RESERVED = frozenset(
    """T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda double
    dump_patches eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half insert
    ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
    register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
    head""".split()
)


@plain_dataclass(frozen=True)
class ModelSpec:
    """A validated model: its named blocks in order, with all inherited settings filled in, and its head."""

    blocks: tuple[tuple[str, Block], ...]
    head: Head


def scale_channels(block: ConvBlock, width: float, in_channels: int = 1) -> int:
    """The channels of `block` at `width`; `in_channels` are those of its input at that width.

    At width 1 this is `block.channels`. Otherwise it is the multiple of `groups` (and of `norm_groups` with group norm)
    nearest to channels x width, halves rounded up, and at least one such multiple.
    """
    if width == 1:
        return block.channels
    unit = in_channels if block.groups == "depthwise" else block.groups
    if block.norm == "group":
        unit = math.lcm(unit, block.norm_groups)
    return max(1, math.floor(block.channels * width / unit + 0.5)) * unit


def parse_model(values: object, path: str = "model") -> tuple[ModelSpec | None, list[Problem]]:
    """Read a `model` section. Returns the spec and no problems, or None and all problems."""
    if not isinstance(values, Mapping):
        return None, [Problem(path, f"got {format_value(values)}, must be a mapping with blocks and head")]
    settings = (*_STRUCTURE, *names_of(Defaults))
    problems = [
        Problem(f"{path}.{key}", f"unknown setting{did_you_mean(str(key), settings)}")
        for key in values
        if key not in settings
    ]
    inherited = {key: value for key, value in values.items() if key in names_of(Defaults)}
    defaults, default_problems = read(Defaults, inherited, path)
    width, width_problems = read(Width, {"width": values.get("width", 1.0)}, path)
    problems += default_problems + width_problems

    if defaults is None:
        inherited = {}  # so that each block does not report the invalid default again
    blocks: list[tuple[str, Block]] = []
    raw_blocks = values.get("blocks")
    if not isinstance(raw_blocks, Mapping) or not raw_blocks:
        problems.append(Problem(f"{path}.blocks", f"got {format_value(raw_blocks)}, must be a mapping of named blocks"))
        raw_blocks = {}
    for name, raw in raw_blocks.items():
        block_path = f"{path}.blocks.{name}"
        problems += _check_name(str(name), block_path)
        block, block_problems = _read_block(raw, inherited, block_path, raw_blocks)
        problems += block_problems
        if block is not None:
            blocks.append((str(name), block))

    head, head_problems = read_typed(HEADS, values.get("head"), f"{path}.head", "linear")
    problems += head_problems
    if problems or width is None or head is None:
        return None, problems
    return ModelSpec(tuple(_scaled(blocks, width.width)), head), []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Width:
    """The setting of the model that no block has."""

    width: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """factor of every block's channels"""


def _scaled(blocks: Iterable[tuple[str, Block]], width: float) -> Iterator[tuple[str, Block]]:
    channels = 1
    for name, block in blocks:
        if isinstance(block, ConvBlock):
            channels = scale_channels(block, width, channels)
            yield name, replace(block, channels=channels)
        else:
            yield name, block


def _check_name(name: str, path: str) -> list[Problem]:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        return [Problem(path, "a block's name must consist of letters, digits and _, and begin with a letter")]
    if name in RESERVED:
        return [Problem(path, f"`{name}` is reserved; give the block another name")]
    return []


def _read_block(
    raw: object, inherited: Mapping[object, object], path: str, names: Iterable[object]
) -> tuple[Block | None, list[Problem]]:
    if isinstance(raw, Mapping) and raw.get("type", "conv") == "conv":
        if "channels" not in raw:
            rule = f"needs `channels`, or `type: pool` for a block that only pools{_similar_block(path, names)}"
            return None, [Problem(path, rule), *read(ConvBlock, {"channels": 1, **raw}, path)[1]]
        raw = {**inherited, **raw}
    if isinstance(raw, int) and not isinstance(raw, bool):
        rule = f"must be a mapping of settings; use {path}.channels={raw}"
        return None, [Problem(path, f"got {raw}, {rule}")]
    return read_typed(BLOCKS, raw, path, "conv")


def _similar_block(path: str, names: Iterable[object]) -> str:
    """A hint for a block without channels, which can be a misspelt name in an override."""
    name = path.rpartition(".")[2]
    return did_you_mean(name, [str(other) for other in names if other != name])
