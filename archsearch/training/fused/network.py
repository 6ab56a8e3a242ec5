"""Replaces the layers of a network with fused ones for training."""

from collections import deque

import torch
from torch import nn

from archsearch.model.layers import Parallel
from archsearch.training.layers import is_plain, leaf_layers

_MAX_THREADS = 2  # fused layers use one thread; with more than this many, torch's own layers are faster


def fused(network: nn.Module, device: torch.device) -> nn.Module:
    """A network that computes what `network` computes in training, up to rounding, in fewer passes over memory.

    A batch norm is fused with the ReLU before it and the channel dropout after it, if present. Returns `network` itself
    if nothing can be fused, on a GPU, with more than two threads, and where Numba fails. All layers, parameters and
    statistics are shared with `network`, including later changes to them.
    """
    if device.type != "cpu" or torch.get_num_threads() > _MAX_THREADS or not is_plain(network):
        return network
    if not any(map(_can_fuse, network.modules())):
        return network
    from archsearch.training.fused import kernels  # imports Numba

    return _fused(network) if kernels.usable() else network


def _fused(network: nn.Module) -> nn.Sequential:
    from archsearch.training.fused.layer import FusedNorm

    assert isinstance(network, nn.Sequential)
    layers: list[nn.Module] = []
    remaining = deque(leaf_layers(network))
    while remaining:
        layer = remaining.popleft()
        if isinstance(layer, Parallel):
            layers.append(layer.with_branches(_fused))
            continue
        if not isinstance(layer, nn.BatchNorm2d) or not _can_fuse(layer):
            layers.append(layer)
            continue
        rectify = bool(layers) and type(layers[-1]) is nn.ReLU
        if rectify:
            layers.pop()
        dropout = remaining.popleft() if remaining and type(remaining[0]) is nn.Dropout2d else None
        assert dropout is None or isinstance(dropout, nn.Dropout2d)
        layers.append(FusedNorm(layer, dropout, rectify=rectify))
    return nn.Sequential(*layers)


def _can_fuse(layer: nn.Module) -> bool:
    if type(layer) is not nn.BatchNorm2d or not layer.affine or layer.weight.dtype != torch.float32:
        return False
    return layer.track_running_stats and layer.momentum is not None
