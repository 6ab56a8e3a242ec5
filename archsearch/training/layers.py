"""The layers of a network in order."""

from collections.abc import Iterator

from torch import nn


def leaf_layers(network: nn.Sequential) -> Iterator[nn.Module]:
    """The layers of `network` in order, including those of nested `nn.Sequential`s."""
    for layer in network:
        if isinstance(layer, nn.Sequential):
            yield from leaf_layers(layer)
        else:
            yield layer
