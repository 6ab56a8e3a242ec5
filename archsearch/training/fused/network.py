"""Replaces the layers of a network with fused ones for training."""

from collections import deque
from typing import TypeGuard

import torch
from torch import nn

from archsearch.model.layers import Parallel
from archsearch.training.fused.in_float32 import InFloat32, is_slow_in_bfloat16
from archsearch.training.layers import halves, is_plain, leaf_layers

_BEHIND = (nn.ReLU, nn.Dropout2d)  # layers that are fused with the batch norm before them
_MAX_THREADS = 2  # fused layers use one thread; with more than this many, torch's own layers are faster


def fused(network: nn.Module, device: torch.device, *, bfloat16: bool = False) -> nn.Module:
    """A network that computes what `network` computes in training, up to rounding, in fewer passes over memory.

    A batch norm is fused with a ReLU before it, and with a ReLU, channel dropout and pooling of 2x2 behind it, if
    present. `bfloat16` says that the result will compute in that, under autocast; group norms and convolutions for
    which that is slow compute in float32. Returns `network` itself if nothing changes, on a GPU, with more than two
    threads, and where Numba fails. All layers, parameters and statistics are shared with `network`, including later
    changes to them.
    """
    if device.type != "cpu" or torch.get_num_threads() > _MAX_THREADS or not is_plain(network):
        return network
    if not any(_can_fuse(layer) or _wants_float32(layer, bfloat16) for layer in network.modules()):
        return network
    result = _fused(network, bfloat16)
    if not any(map(_can_fuse, network.modules())):
        return result
    from archsearch.training.fused import kernels  # imports Numba
    from archsearch.training.fused.layer import FusedNorm

    layers = [layer for layer in result.modules() if isinstance(layer, FusedNorm)]
    relu_behind, pools = any(layer.relu_behind for layer in layers), any(layer.pool is not None for layer in layers)
    return result if kernels.usable(bfloat16=bfloat16, relu_behind=relu_behind, pools=pools) else network


def _fused(network: nn.Module, bfloat16: bool) -> nn.Sequential:
    assert isinstance(network, nn.Sequential)
    layers: list[nn.Module] = []
    remaining = deque(leaf_layers(network))
    while remaining:
        layer = remaining.popleft()
        if isinstance(layer, Parallel):
            layers.append(layer.with_branches(lambda branch: _fused(branch, bfloat16)))
            continue
        if not isinstance(layer, nn.BatchNorm2d) or not _can_fuse(layer):
            layers.append(InFloat32(layer) if _wants_float32(layer, bfloat16) else layer)
            continue
        from archsearch.training.fused.layer import FusedNorm

        has_relu = bool(layers) and type(layers[-1]) is nn.ReLU
        if has_relu:
            layers.pop()
        behind: dict[type, nn.Module] = {}  # dropout scales by 0 or more, so a ReLU can be on either side of it
        while remaining and type(remaining[0]) in _BEHIND and type(remaining[0]) not in behind:
            following = remaining.popleft()
            behind[type(following)] = following
        dropout = behind.get(nn.Dropout2d)
        assert dropout is None or isinstance(dropout, nn.Dropout2d)
        pool = remaining.popleft() if remaining and halves(remaining[0]) else None
        assert pool is None or isinstance(pool, nn.AvgPool2d | nn.MaxPool2d)
        layers.append(FusedNorm(layer, dropout, pool, relu_before=has_relu, relu_behind=nn.ReLU in behind))
    return nn.Sequential(*layers)


def _wants_float32(layer: nn.Module, bfloat16: bool) -> TypeGuard[nn.GroupNorm | nn.Conv2d]:
    return type(layer) is nn.GroupNorm or (bfloat16 and is_slow_in_bfloat16(layer))


def _can_fuse(layer: nn.Module) -> bool:
    if type(layer) is not nn.BatchNorm2d or not layer.affine or layer.weight.dtype != torch.float32:
        return False
    return layer.track_running_stats and layer.momentum is not None
