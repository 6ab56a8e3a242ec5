"""Small changes of a model: plain mappings, as YAML has them. Whether the result can be built is checked elsewhere.

A mutation changes the model that it gets and says what it did, or returns None where it does not apply. Blocks in
blocks are changed like those at the top.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, TypeAlias

from archsearch.config.search import BlockLimits
from archsearch.model.order import PLACES, block_order
from archsearch.model.plugins import block_types
from archsearch.model.spec import RESERVED

Named: TypeAlias = dict[str, Any]  # blocks by name, in order
Mutation: TypeAlias = Callable[[Named, Random, BlockLimits], str | None]

_WIDE = ("conv", "separable", "inverted_residual")  # types with channels, a window and a stride
_SHARED = ("channels", "kernel_size", "stride", "padding", "activation", "norm", "dropout", "bias", "repeat")


def plain_model(model: Mapping[str, Any]) -> Named:
    """A copy of `model` with its blocks and its head only; the blocks in their order, without `after` and `before`."""
    return {"blocks": _plain_blocks(model["blocks"], has_head=True), "head": copy.deepcopy(dict(model["head"]))}


def _plain_blocks(blocks: Mapping[str, Any], *, has_head: bool) -> Named:
    names, _ = block_order(blocks, "", has_head=has_head)
    plain = {}
    for name in names:
        block = {key: copy.deepcopy(value) for key, value in blocks[name].items() if key not in PLACES}
        for key, form in _nested(block).items():
            inner = block.get(key, {})
            if form == "blocks":
                block[key] = _plain_blocks(inner, has_head=False)
            else:
                block[key] = {branch: _plain_blocks(below, has_head=False) for branch, below in inner.items()}
        plain[str(name)] = block
    return plain


def levels(blocks: Named) -> Iterator[Named]:
    """`blocks`, and all mappings of blocks in them."""
    yield blocks
    for block in blocks.values():
        for key, form in _nested(block).items():
            inner = block.get(key, {})
            for below in [inner] if form == "blocks" else inner.values():
                yield from levels(below)


def count_blocks(model: Mapping[str, Any]) -> int:
    """The number of blocks, with those in other blocks."""
    return sum(map(len, levels(model["blocks"])))


def insert(model: Named, random: Random, limits: BlockLimits) -> str | None:
    """A new block anywhere."""
    blocks = random.choice(list(levels(model["blocks"])))
    kind = random.choice(limits.types)
    name = _new_name(blocks, kind)
    position = random.randint(0, len(blocks))
    _put(blocks, position, name, _new_block(kind, random, limits))
    return f"insert {name} ({kind}) {_place(blocks, position)}"


def remove(model: Named, random: Random, _: BlockLimits) -> str | None:
    """A block less."""
    blocks, name = _any_block(model, random)
    if len(blocks) == 1:
        return None
    del blocks[name]
    return f"remove {name}"


def duplicate(model: Named, random: Random, _: BlockLimits) -> str | None:
    """A block twice, one after the other."""
    blocks, name = _any_block(model, random)
    block = copy.deepcopy(blocks[name])
    copy_name = _new_name(blocks, block.get("type", "conv"))
    _put(blocks, list(blocks).index(name) + 1, copy_name, block)
    return f"duplicate {name} as {copy_name}"


def move(model: Named, random: Random, _: BlockLimits) -> str | None:
    """A block elsewhere among those beside it."""
    blocks, name = _any_block(model, random)
    if len(blocks) == 1:
        return None
    position = list(blocks).index(name)
    target = random.choice([place for place in range(len(blocks)) if place != position])
    _put(blocks, target, name, blocks.pop(name))
    return f"move {name} {_place(blocks, target)}"


def change_channels(model: Named, random: Random, limits: BlockLimits) -> str | None:
    """Twice or half as many channels of a block."""
    blocks, name = _any_block(model, random)
    channels = blocks[name].get("channels")
    if not isinstance(channels, int):
        return None
    fewest, most = limits.channels
    options = [number for number in (channels * 2, channels // 2) if fewest <= number <= most]
    return _set(blocks[name], name, "channels", options, random)


def change_kernel(model: Named, random: Random, limits: BlockLimits) -> str | None:
    """Another window of a convolution."""
    blocks, name = _any_block(model, random)
    return _set(blocks[name], name, "kernel_size", limits.kernel_sizes, random) if _is_wide(blocks[name]) else None


def change_padding(model: Named, random: Random, _: BlockLimits) -> str | None:
    """A convolution that keeps height and width, or one that does not."""
    blocks, name = _any_block(model, random)
    return _set(blocks[name], name, "padding", (0, "same"), random) if _is_wide(blocks[name]) else None


def change_stride(model: Named, random: Random, _: BlockLimits) -> str | None:
    """Stride 1 or 2. A padding that keeps height and width becomes one of half the window."""
    blocks, name = _any_block(model, random)
    block = blocks[name]
    if not _is_wide(block) and "body" not in block:
        return None
    if block.get("padding") == "same" and isinstance(block.get("kernel_size", 3), int):
        block["padding"] = block.get("kernel_size", 3) // 2
    return _set(block, name, "stride", (1, 2), random, default=1)


def change_pooling(model: Named, random: Random, _: BlockLimits) -> str | None:
    """Another pooling after a convolution or of a block that pools, or none."""
    blocks, name = _any_block(model, random)
    kind = blocks[name].get("type", "conv")
    if kind == "pool":
        return _set(blocks[name], name, "pool", ("max", "avg"), random, default="max")
    return _set(blocks[name], name, "pool", ("none", "max", "avg"), random, "none") if kind == "conv" else None


def change_activation(model: Named, random: Random, limits: BlockLimits) -> str | None:
    """Another activation function of a block."""
    blocks, name = _any_block(model, random)
    applies = _is_wide(blocks[name]) or "body" in blocks[name]
    return _set(blocks[name], name, "activation", limits.activations, random) if applies else None


def change_type(model: Named, random: Random, limits: BlockLimits) -> str | None:
    """Another type of a convolution, which keeps what both types have; or a shortcut around it, or none."""
    blocks, name = _any_block(model, random)
    block = blocks[name]
    kind = block.get("type", "conv")
    options = [other for other in limits.types if other != kind and other in (*_WIDE, "residual")]
    if kind == "residual" and len(block.get("body", {})) == 1:
        blocks[name] = dict(next(iter(block["body"].values())))
        return f"{name}: without its shortcut"
    if kind not in _WIDE or not options:
        return None
    other = random.choice(options)
    if other == "residual":
        blocks[name] = {"type": "residual", "body": {"conv1": {**block, "padding": "same"}}}
        return f"{name}: with a shortcut"
    kept = {key: value for key, value in block.items() if key in _SHARED}
    blocks[name] = {**kept, "type": other}
    return f"{name}: type {kind} -> {other}"


def change_head(model: Named, random: Random, limits: BlockLimits) -> str | None:
    """Another type of head."""
    kind = model["head"].get("type", "linear")
    options = [other for other in limits.heads if other != kind]
    if not options:
        return None
    model["head"] = {"type": random.choice(options)}
    return f"head: {kind} -> {model['head']['type']}"


MUTATIONS: tuple[Mutation, ...] = (
    insert, remove, duplicate, move, change_channels, change_kernel, change_padding, change_stride, change_pooling,
    change_activation, change_type, change_head,
)  # fmt: skip


def _nested(block: Mapping[str, Any]) -> Mapping[str, str]:
    return block_types()[block.get("type", "conv")].nested


def _any_block(model: Named, random: Random) -> tuple[Named, str]:
    return random.choice([(blocks, name) for blocks in levels(model["blocks"]) for name in blocks])


def _is_wide(block: Mapping[str, Any]) -> bool:
    return block.get("type", "conv") in _WIDE


def _set(block: Named, name: str, setting: str, options: Any, random: Random, default: object = None) -> str | None:
    """Give `setting` of a block another value."""
    before = block.get(setting, default)
    others = [option for option in options if option != before]
    if not others:
        return None
    block[setting] = random.choice(others)
    return f"{name}: {setting} {'default' if before is None else before} -> {block[setting]}"


def _put(blocks: Named, position: int, name: str, block: Named) -> None:
    items = list(blocks.items())
    items.insert(position, (name, block))
    blocks.clear()
    blocks.update(items)


def _place(blocks: Named, position: int) -> str:
    return f"after {list(blocks)[position - 1]}" if position else "first"


def _new_name(blocks: Named, kind: str) -> str:
    number = 1
    while (name := f"{kind}{number}") in blocks or name in RESERVED:
        number += 1
    return name


def _new_block(kind: str, random: Random, limits: BlockLimits) -> Named:
    fewest, most = limits.channels
    channels = random.choice([fewest << power for power in range(20) if fewest << power <= most])
    window = {"kernel_size": random.choice(limits.kernel_sizes), "padding": random.choice((0, "same"))}
    match kind:
        case "conv":
            return {"channels": channels, **window}
        case "separable":
            return {"type": kind, "channels": channels, **window}
        case "inverted_residual":
            return {"type": kind, "channels": channels, **window, "expansion": random.choice((2, 3, 4, 6))}
        case "residual":
            return {"type": kind, "body": {"conv1": {"channels": channels, **window, "padding": "same"}}}
        case "squeeze_excite":
            return {"type": kind, "reduction": random.choice((2, 4, 8))}
    return {"type": "pool", "pool": random.choice(("max", "avg"))}
