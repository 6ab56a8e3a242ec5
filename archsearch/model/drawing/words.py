"""What a drawing says of layers: class, channels and other arguments, as PyTorch names them."""

import re
from collections.abc import Sequence
from typing import TypeAlias, Union

from archsearch.model.drawing.shapes import BODY, text_width, wrap
from archsearch.model.tree import Layer, Node, Parallel, Shape

Signature: TypeAlias = tuple[Union[str, "Signature"], ...]

_SIZES = ("kernel_size", "output_size")
_COUNTS = (("in_channels", "out_channels"), ("in_features", "out_features"))
_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1}


def layer_text(layer: Layer, *, inputs: bool = True) -> str:
    """Such as `Conv2d 3x3, 12→24, padding 1`; without the channels of its input if not `inputs`."""
    arguments = layer.arguments
    words = [layer.type_name]
    sizes = [_size(arguments[name]) for name in _SIZES if name in arguments]
    words[0] += "".join(f" {size}" for size in sizes)
    for before, after in _COUNTS:
        if before in arguments and after in arguments:
            channels = f"{arguments[before]}→{arguments[after]}" if inputs else f"→{arguments[after]}"
            words = [f"{words[0]} {channels}"] if not sizes else [*words, channels]
    for name, default in _DEFAULTS.items():
        value = arguments.get(name, default)
        is_usual = value in (default, (default, default))
        if name == "stride" and "in_channels" not in arguments:  # of a pooling layer
            is_usual = value == arguments.get("kernel_size")
        if name in arguments and not is_usual:
            words.append(f"{name} {'x'.join(map(str, dict.fromkeys(value))) if isinstance(value, tuple) else value}")
    groups = arguments.get("groups", 1)
    if groups != 1:
        words.append("depthwise" if groups == arguments.get("in_channels") else f"groups {groups}")
    if "p" in arguments:
        words[0] += f" {arguments['p']}"
    if arguments.get("bias") is False:
        words.append("no bias")
    return ", ".join(words)


def layer_lines(layers: Sequence[Layer], width: float) -> list[str]:
    """The layers in lines of at most `width` pixels. A layer that multiplies begins a line."""
    lines: list[str] = []
    for layer in layers:
        text = layer_text(layer)
        longer = f"{lines[-1]} · {text}" if lines else text
        if lines and not layer.macs and text_width(longer, BODY) <= width:
            lines[-1] = longer
        else:
            lines += wrap(re.split("(?<=,) ", text), BODY, width)  # arguments stay whole
    return lines


def signature(node: Node, *, inputs: bool = True) -> Signature:
    """What two nodes share that stand for the same layers: equal repeats of a block, or a block of two networks."""
    if isinstance(node, Layer):
        return (layer_text(node, inputs=inputs),)
    if isinstance(node, Parallel):
        return (node.join, *(signature(branch, inputs=inputs) for branch in node.branches))
    return tuple(signature(child, inputs=inputs) for child in node.children)


def numbers(node: Node, count: int = 1, last: Node | None = None) -> tuple[str, ...]:
    """Output shape, receptive field, parameters and MACs of a node that stands for `count`, up to `last`."""
    layers = list(node.layers())
    if not layers:
        return ()
    shape, receptive_field = _end_of(last or node)
    window = f" · RF {receptive_field}" if receptive_field else ""
    lines = ["x".join(map(str, shape)) + window]
    params, macs = sum(layer.params for layer in layers), sum(layer.macs for layer in layers)
    prefix = "each " if count > 1 else ""
    if params or macs:
        lines.append(f"{prefix}{params:,} params · {short_count(macs)} MACs")
    return tuple(lines)


def short_count(number: int) -> str:
    """`number` with three digits and k, M or G; exactly below 10,000."""
    if number < 10_000:
        return f"{number:,}"
    rounded = float(f"{number:.3g}")
    power, unit = next((power, unit) for power, unit in ((9, "G"), (6, "M"), (3, "k")) if rounded >= 10**power)
    value = rounded / 10**power
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def _end_of(node: Node) -> tuple[Shape, int]:
    """The output's shape and receptive field of a node that has layers."""
    if isinstance(node, Layer | Parallel):
        return node.output, node.receptive_field
    return _end_of(node.children[-1])


def _size(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return f"{value}x{value}" if isinstance(value, int) else str(value)
