"""Networks that are not built from a model: any `nn.Module`, checked and counted by running it on two blank images."""

import copy
import hashlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archsearch.errors import ConfigError, Problem, first_line
from archsearch.model.plan import Plan
from archsearch.model.tree import Layer, Shape

_BATCH = 2  # images; batch norm needs two to train
_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class CountedPlan(Plan):
    """The layers that a network of one's own called, in order. Their receptive fields are unknown."""

    total: int = 0  # parameters, as torch counts them
    trainable: int = 0

    @property
    def params(self) -> int:
        """Total number of parameters, shared ones once, including those of no layer."""
        return self.total

    @property
    def trainable_params(self) -> int:
        """Parameters that require a gradient."""
        return self.trainable

    @property
    def receptive_field(self) -> int:
        """0: unknown."""
        return 0


def describe_network(network: nn.Module) -> dict[str, str]:
    """The `model` section of a run of `network`: its class, and a digest of its structure and its code."""
    structure = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(network))
    shapes = [(name, tuple(value.shape)) for name, value in network.state_dict().items() if isinstance(value, Tensor)]
    code = [(path, _own_code(type(module)), _own_values(module)) for path, module in network.named_modules()]
    digest = hashlib.blake2b(f"{structure}{shapes}{code}".encode(errors="replace"), digest_size=4).hexdigest()
    return {"network": type(network).__name__, "digest": f"d{digest}"}  # a letter first, so that YAML keeps it a string


def _own_code(cls: type) -> str:
    """The code of a class that is not torch's: its source, else the instructions of its methods."""
    if cls.__module__.startswith("torch."):
        return ""
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):  # as in a console
        functions = [value.__code__ for value in vars(cls).values() if isinstance(value, FunctionType)]
        return str([(code.co_code, code.co_names, [str(constant) for constant in code.co_consts
                     if not isinstance(constant, CodeType)]) for code in functions])  # fmt: skip


def _own_values(module: nn.Module) -> list[tuple[str, object]]:
    """The plain attributes of a module, such as a rate of dropout that it passes to a function."""
    plain = (bool, int, float, str, type(None))
    return sorted(
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and isinstance(value, plain)
    )


def check_network(network: object) -> nn.Module:
    """A copy of `network`, if it can be trained at all. Raises `ConfigError`."""
    if not isinstance(network, nn.Module):
        hint = "; call it to make an instance" if isinstance(network, type) and issubclass(network, nn.Module) else ""
        name = network.__name__ if isinstance(network, type) else type(network).__name__
        raise _error(f"got {name}, must be a torch.nn.Module{hint}")
    parameters = list(network.parameters())
    if any(map(is_lazy, [*parameters, *network.buffers()])):
        raise _error("has lazy layers without weights; call it once on a batch of images first")
    if not any(parameter.requires_grad for parameter in parameters):
        raise _error("has no parameters to train")
    try:
        return copy.deepcopy(network)
    except Exception as error:  # whatever the network holds
        raise _error(f"cannot be copied: {first_line(error)}") from error


def count_network(network: nn.Module, shape: Shape, classes: int, *, channels_last: bool) -> CountedPlan:
    """Run `network` on blank images of `shape` = (channels, height, width), in training and in eval mode, and count.

    MACs are those of convolution and linear layers; what a network computes with functions counts as 0. `network`
    itself does not change. Raises `ConfigError` if it fails on such images, or does not return (batch, `classes`).
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    if isinstance(network, torch.jit.ScriptModule):
        raise _error("is a TorchScript module, whose layers cannot be counted; pass the module that it was made from")
    try:
        network = copy.deepcopy(network).cpu()
    except Exception as error:
        raise _error(f"cannot be moved to the CPU: {first_line(error)}") from error
    images = torch.zeros(_BATCH, *shape).contiguous(memory_format=layout)
    layers: list[Layer] = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for training in (True, False):
            layers.clear()
            hooks = list(_count_into(layers, network))
            try:
                network.to(memory_format=layout)
                output = network.train(training)(images)
            except Exception as error:  # a network's own code can raise anything
                raise _error(_failure(error, shape, channels_last)) from error
            finally:
                for hook in hooks:
                    hook.remove()
            _check_output(output, classes, "in training mode" if training else "in eval mode")
    parameters = list(network.parameters())
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return CountedPlan(shape, tuple(layers), sum(parameter.numel() for parameter in parameters), trainable)


def _count_into(layers: list[Layer], network: nn.Module) -> Iterator[Any]:
    """Hooks that append a `Layer` for each call of a module that has no modules in it, or parameters of its own."""
    counted: set[int] = set()

    def count(path: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        new = [parameter for parameter in module.parameters(recurse=False) if id(parameter) not in counted]
        counted.update(map(id, new))
        params = sum(parameter.numel() for parameter in new)
        shape = tuple(output.shape[1:])
        macs = _macs(module, inputs, output)
        layers.append(
            Layer(
                path or "(network)", "", type(module).__name__, {}, shape, params, macs, (0, 0), (0, 0),
                batch_statistics=isinstance(module, _BATCH_NORMS),
            )
        )  # fmt: skip

    for path, module in network.named_modules():
        if not list(module.children()) or list(module.parameters(recurse=False)):
            yield module.register_forward_hook(
                lambda module, inputs, output, path=path: count(path, module, inputs, output)
            )


def _macs(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> int:
    """Multiply-accumulates of a convolution or linear layer for one image; 0 of any other module."""
    if isinstance(module, _CONVS):
        return output.numel() // _BATCH * module.in_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, _TRANSPOSED) and inputs:
        return int(inputs[0].numel()) // _BATCH * module.out_channels // module.groups * prod(module.kernel_size)
    return output.numel() // _BATCH * module.in_features if isinstance(module, nn.Linear) else 0


def _check_output(output: object, classes: int, mode: str) -> None:
    rule = f"must return logits of shape ({_BATCH}, {classes}) for {_BATCH} images: one for each class of the data set"
    if not isinstance(output, Tensor):
        raise _error(f"returns a {type(output).__name__} {mode}, {rule}")
    if tuple(output.shape) != (_BATCH, classes):
        raise _error(f"returns {tuple(output.shape)} {mode}, {rule}")
    if not output.is_floating_point():
        raise _error(f"returns {output.dtype} {mode}, {rule}")


def _failure(error: Exception, shape: Shape, channels_last: bool) -> str:
    size = "x".join(map(str, shape))
    advice = ""
    if channels_last and "view size is not compatible" in str(error):
        advice = "; use flatten or reshape instead of view, or set trainer.channels_last=false"
    return f"fails on images of {size}: {type(error).__name__}: {first_line(error)}{advice}"


def _error(message: str) -> ConfigError:
    return ConfigError([Problem("network", message)])
