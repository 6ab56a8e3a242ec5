"""A network as one plain PyTorch file, with its preprocessing, and its weights in another. Needs no archsearch."""

import inspect
import json
import keyword
import re
import sys
import textwrap
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from torch import nn

from archsearch.data.info import DatasetInfo
from archsearch.model import layers as own_layers
from archsearch.model.plan import Plan
from archsearch.model.tree import Layer, Node, Parallel, Sequence

_INDENT = "    "

_WIDTH = 100  # of lines that a long name or many classes would make longer
_TAKEN = {"OrderedDict", "Path", "Tensor", "False", "None", "True"}  # names that the file's class cannot have
_IMPORTED = {"torch", "safetensors", "numpy", *sys.stdlib_module_names}  # modules that a file of that name would hide
_LONGEST_NAME = 80  # characters of a module; file systems take 255 bytes, with what others add

_HEAD = '''"""{summary}

    from {module} import CLASSES, load

    network = load()  # its weights: {module}.safetensors beside this file, or the file that you name
    logits = network(pixels)  # uint8 {layout} -> (N, {classes})
    CLASSES[int(logits[0].argmax())]
"""

{imports}

CLASSES = {class_names}
SHAPE = {shape}  # channels, height, width
MEAN, STD = {mean}, {std}  # of the training pixels, scaled to [0, 1]


class {name}(nn.Module):
    """{params:,} parameters. Takes raw pixels: uint8, channels first or last."""

    def __init__(self) -> None:
        super().__init__()
{constructor}

    def forward(self, pixels: Tensor) -> Tensor:
        x = prepared(pixels)
{forward}
        return x


def prepared(pixels: Tensor) -> Tensor:
    """Raw pixels, normalised as in training: uint8 {layouts} -> (N, {first})."""
    channels, height, width = SHAPE
    size = tuple(pixels.shape[1:])
    if pixels.dtype != torch.uint8 or size not in {sizes}:
        rule = "must be uint8 {layouts}"
        raise ValueError(f"got images of {{pixels.dtype}} {{tuple(pixels.shape)}}, {{rule}}")
{to_first}
    mean, std = (torch.tensor(values, device=pixels.device).reshape(-1, 1, 1) for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


def sequence(layers: dict[str, nn.Module]) -> nn.Sequential:
    """Named layers, one after another."""
    return nn.Sequential(OrderedDict(layers))


def load(weights: str | Path | None = None) -> {name}:
    """The trained network, in eval mode."""
    network = {name}()
    network.load_state_dict(load_file(weights or Path(__file__).with_suffix(".safetensors")))
    return network.eval()
'''

_PARALLEL = '''

class Parallel(nn.Module):
    """Branches that see the same input, joined: added, multiplied, or concatenated along the channels."""

    def __init__(self, join: str, branches: dict[str, nn.Module]) -> None:
        super().__init__()
        self.join = join
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [branch(x) for branch in self.children()]
        if self.join == "concat":
            return torch.cat(outputs, dim=1)
        joined = outputs[0]
        for output in outputs[1:]:
            joined = joined + output if self.join == "add" else joined * output
        return joined
'''


def source_of(plan: Plan, info: DatasetInfo, title: str, module: str) -> str:
    """The text of the file `module`.py for the network of `plan`, trained on the data set `info`.

    Layers of a person's own are imported from the modules that they come from.
    """
    channels, height, width = info.shape
    grey = [f"(N, {height}, {width})"] if channels == 1 else []
    layouts = [*grey, f"(N, {channels}, {height}, {width})", f"(N, {height}, {width}, {channels})"]
    to_first = ["    if size == (height, width):", "        pixels = pixels.unsqueeze(1)"] if grey else []
    to_first += [f"    {'elif' if grey else 'if'} size != SHAPE:", "        pixels = pixels.permute(0, 3, 1, 2)"]
    sizes = ["SHAPE", "(height, width, channels)", *(["(height, width)"] if grey else [])]
    images = f"{height}x{width} images of {channels} channel{'' if channels == 1 else 's'}"
    name = re.sub(r"[^\w .,=/-]", "_", title)
    summary = f"{name}: {images} in {len(info.classes)} classes. Needs PyTorch and safetensors."
    own = {layer.type_name for layer in plan.layers if layer.kind.startswith(f"{own_layers.__name__}:")}
    text = _HEAD.format(
        summary=textwrap.fill(summary, _WIDTH),
        classes=len(info.classes),
        module=module,
        layout=layouts[0],
        layouts=" or ".join([", ".join(layouts[:-1]), layouts[-1]]),
        first=f"{channels}, {height}, {width}",
        imports="\n".join(_imports(plan, own)),
        class_names=_class_names(info.classes),
        shape=tuple(info.shape),
        mean=_numbers(info.mean),
        std=_numbers(info.std),
        name=class_name(module, {kind.partition(":")[2] for kind in foreign_layers(plan)}),
        params=plan.params,
        constructor="\n".join(line for node in plan.nodes for line in _assignment(node)),
        forward="\n".join(f"        x = {_reference(node)}(x)  # {_size(node)}" for node in plan.nodes),
        sizes=f"({', '.join(sizes)})",
        to_first="\n".join(to_first),
    )
    parts = [inspect.getsource(getattr(own_layers, name)).rstrip() for name in sorted(own)]
    parallel = _PARALLEL if any(_has_branches(node) for node in plan.nodes) else ""
    return text + parallel + "".join(f"\n\n{part}\n" for part in parts)


def weights_of(network: nn.Module) -> bytes:
    """The content of the file with the weights of `network`."""
    from safetensors.torch import save

    # Not `save_file`, which makes the file readable to its owner only.
    return save({name: value.contiguous().clone() for name, value in network.state_dict().items()})


def foreign_layers(plan: Plan) -> list[str]:
    """The classes that a source file must import from modules of neither torch nor archsearch, as `module:Class`."""
    known = ("torch.nn:", f"{own_layers.__name__}:")
    return sorted({layer.kind for layer in plan.layers if ":" in layer.kind and not layer.kind.startswith(known)})


def module_name(model: str) -> str:
    """A name for a Python module, from that of a model."""
    name = re.sub(r"\W+", "_", model, flags=re.ASCII).strip("_").lower()[:_LONGEST_NAME] or "network"
    is_free = name.isidentifier() and not keyword.iskeyword(name) and name not in _IMPORTED
    return name if is_free else f"network_{name}"


def class_name(module: str, imported: Collection[str] = ()) -> str:
    """A name for its class, other than those of classes that are `imported`."""
    name = "".join(part[:1].upper() + part[1:] for part in module.split("_"))
    return f"{name}Network" if name in _TAKEN or name in imported or hasattr(own_layers, name) else name


def _imports(plan: Plan, own: set[str]) -> Iterator[str]:
    yield from ("from collections import OrderedDict", "from pathlib import Path", "", "import torch")
    yield from ("from safetensors.torch import load_file", "from torch import Tensor, nn")
    if own & {"BlurPool2d", "PadChannels"}:
        yield "from torch.nn import functional"
    for kind in foreign_layers(plan):
        module, _, name = kind.partition(":")
        yield f"from {module} import {name}"


def _assignment(node: Node) -> Iterator[str]:
    """Lines of the constructor: `self.conv1 = ...`."""
    name = _name(node)
    first, *others = _expression(node, 2)
    if keyword.iskeyword(name):
        yield f'{_INDENT * 2}self.add_module("{name}", {first}'
        yield from others[:-1]
        yield f"{others[-1]})"
    else:
        yield f"{_INDENT * 2}self.{name} = {first}"
        yield from others


def _reference(node: Node) -> str:
    name = _name(node)
    return f'self.get_submodule("{name}")' if keyword.iskeyword(name) else f"self.{name}"


def _expression(node: Node, depth: int) -> list[str]:
    """The lines of an expression that makes the module of `node`; the first is not indented, the others by `depth`."""
    if isinstance(node, Layer):
        return [_call(node)]
    children = node.children if isinstance(node, Sequence) else node.branches
    if not children:
        return ["nn.Sequential()"]
    lines = ["sequence({" if isinstance(node, Sequence) else f'Parallel("{node.join}", {{']
    for child in children:
        first, *others = _expression(child, depth + 1)
        inner = [f'{_INDENT * (depth + 1)}"{_name(child)}": {first}', *others]
        inner[-1] += ","
        lines += inner
    return [*lines, f"{_INDENT * depth}}})"]


def _call(layer: Layer) -> str:
    """`nn.Conv2d(1, 12, kernel_size=3)`: the constructor's call, without arguments that have their default."""
    module, _, name = layer.kind.rpartition(":")
    cls: Any = getattr(own_layers, name, None) if module == own_layers.__name__ else None
    if not module or module == "torch.nn":
        cls, name = getattr(nn, name), f"nn.{name}"
    parameters = {} if cls is None else inspect.signature(cls).parameters
    required = [key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    given = dict(layer.arguments)
    words: list[str] = []
    for key in required:
        if key not in given or key == "kernel_size":
            break
        words.append(_literal(given.pop(key)))
    words += [
        f"{key}={_literal(value)}"
        for key, value in given.items()
        if key not in parameters or parameters[key].default != value
    ]
    return f"{name}({', '.join(words)})"


def _literal(value: object) -> str:
    """`value` as Python, with strings in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _class_names(classes: tuple[str, ...]) -> str:
    """A tuple, with a line for each name if they do not fit on one."""
    line = _literal(classes)
    if len(f"CLASSES = {line}") <= _WIDTH:
        return line
    return "\n".join(["(", *(f"{_INDENT}{_literal(name)}," for name in classes), ")"])


def _numbers(values: Any) -> str:
    return _literal(tuple(float(value) for value in np.atleast_1d(values)))


def _name(node: Node) -> str:
    return node.path.rpartition(".")[2]


def _size(node: Node) -> str:
    """What a top block returns, as in `12x26x26`."""
    last = node
    while isinstance(last, Sequence):
        last = last.children[-1]
    return "x".join(map(str, last.output))


def _has_branches(node: Node) -> bool:
    if isinstance(node, Parallel):
        return True
    return isinstance(node, Sequence) and any(map(_has_branches, node.children))
