"""The layers of a network in order, and whether passes over them may replace some."""

from collections.abc import Iterator
from typing import TypeGuard

from torch import nn

_UNDERSTOOD = ("torch.nn.modules.", "archsearch.")  # where layers are defined that do what their class says


def leaf_layers(network: nn.Sequential) -> Iterator[nn.Module]:
    """The layers of `network` in order, including those of nested `nn.Sequential`s."""
    for layer in network:
        if isinstance(layer, nn.Sequential):
            yield from leaf_layers(layer)
        else:
            yield layer


def is_plain(network: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether `network` does nothing but call torch's and archsearch's layers one after another.

    Only then may a pass replace its layers. Subclasses can compute something else, and hooks can see the layers.
    """
    if not isinstance(network, nn.Sequential):
        return False
    return all(
        type(layer).__module__.startswith(_UNDERSTOOD)
        and not (isinstance(layer, nn.Sequential) and type(layer).forward is not nn.Sequential.forward)
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
        for layer in network.modules()
    )
