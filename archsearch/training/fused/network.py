"""A network for training, with fused layers where it has what can be fused."""

import torch
from torch import nn

_THREADS = 2  # fused layers run on one; torch's own, on more than this many, are faster than that


def fused(network: nn.Module, device: torch.device) -> nn.Module:
    """A network that computes in training what `network` does, up to rounding, in fewer passes over memory.

    A batch norm is fused with the ReLU before it and the channel dropout behind it, where there are any. Only on the
    CPU, with two threads at most; elsewhere, and where nothing can be fused, it is `network` itself. Shares all layers,
    parameters and statistics with `network`, whatever happens to them later.
    """
    if device.type != "cpu" or torch.get_num_threads() > _THREADS or not isinstance(network, nn.Sequential):
        return network
    layers = list(_flat(network))
    if not any(map(_fits, layers)):
        return network
    from archsearch.training.fused.layer import FusedNorm  # imports Numba

    found: list[nn.Module] = []
    while layers:
        layer = layers.pop(0)
        if not isinstance(layer, nn.BatchNorm2d) or not _fits(layer):
            found.append(layer)
            continue
        rectify = bool(found) and type(found[-1]) is nn.ReLU
        if rectify:
            found.pop()
        dropout = layers.pop(0) if layers and type(layers[0]) is nn.Dropout2d else None
        assert dropout is None or isinstance(dropout, nn.Dropout2d)
        found.append(FusedNorm(layer, dropout, rectify=rectify))
    return nn.Sequential(*found)


def _flat(network: nn.Sequential) -> list[nn.Module]:
    nested = (_flat(layer) if isinstance(layer, nn.Sequential) else [layer] for layer in network)
    return [layer for layers in nested for layer in layers]


def _fits(layer: nn.Module) -> bool:
    if type(layer) is not nn.BatchNorm2d or not layer.affine or layer.weight.dtype != torch.float32:
        return False
    return layer.track_running_stats and layer.momentum is not None
