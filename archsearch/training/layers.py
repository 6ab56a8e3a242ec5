"""The layers of a network in order, and whether passes over them may replace some."""

from collections.abc import Iterator
from typing import TypeGuard

from torch import nn

from archsearch.model.layers import Parallel


def is_sequence(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether `module` does nothing but call its children one after another. Subclasses can do something else."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def leaf_layers(network: nn.Sequential) -> Iterator[nn.Module]:
    """The layers of `network` in order, including those of sequences in it; any other module is one layer."""
    for layer in network:
        if is_sequence(layer):
            yield from leaf_layers(layer)
        else:
            yield layer


def halves(layer: nn.Module) -> bool:
    """Whether `layer` pools 2x2 pixels to one, and leaves out the last row or column of odd sizes."""
    if type(layer) not in (nn.AvgPool2d, nn.MaxPool2d) or layer.ceil_mode:
        return False
    if isinstance(layer, nn.AvgPool2d) and layer.divisor_override is not None:
        return False
    if isinstance(layer, nn.MaxPool2d) and (layer.return_indices or layer.dilation not in (1, (1, 1))):
        return False
    return layer.kernel_size in (2, (2, 2)) and layer.stride in (2, (2, 2)) and layer.padding in (0, (0, 0))


def is_plain(network: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a pass may replace layers of `network`: it is a sequence, and no hook sees its layers.

    Modules that are neither sequences nor archsearch's branches are left as they are.
    """
    return is_sequence(network) and not any(map(_has_hooks, _replaceable(network)))


def _replaceable(module: nn.Module) -> Iterator[nn.Module]:
    yield module
    if is_sequence(module) or isinstance(module, Parallel):
        for child in module.children():
            yield from _replaceable(child)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
