"""A network for inference: batch norm is folded into its neighbours, dropout is removed, activations work in place."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from archsearch.model.layers import Parallel, StochasticDepth
from archsearch.training.layers import is_plain, leaf_layers

# Layers whose output is a new tensor that nothing else sees.
_ALLOCATING = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, Parallel)


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A network that computes what `network` computes in eval mode, up to rounding, in fewer passes over memory.

    A batch norm after a convolution is merged into that convolution. One before an unpadded convolution or a linear
    layer is merged into that layer, also across average pooling, flattening and dropout. All others stay. Branches are
    folded one by one. Unchanged parameters are shared with `network`, so fold again after each training step.
    """
    network = network.eval()
    return _folded(network) if is_plain(network) else network


def _folded(network: nn.Module) -> nn.Sequential:
    assert isinstance(network, nn.Sequential)
    layers: list[nn.Module] = []
    pending: nn.BatchNorm2d | None = None  # a batch norm that a later layer may absorb
    position = 0  # of the pending batch norm in `layers`
    for layer in leaf_layers(network):
        if isinstance(layer, nn.Dropout | nn.Dropout2d | StochasticDepth):
            continue
        current = layer.with_branches(_folded) if isinstance(layer, Parallel) else layer
        if pending is not None and not commutes_with_affine(layer):
            merged = _with_norm_before(pending, layer)
            if merged is None:
                layers.insert(position, pending)
            else:
                current = merged
            pending = None
        if not isinstance(current, nn.BatchNorm2d) or not current.track_running_stats:
            layers.append(_in_place(current) if layers and isinstance(layers[-1], _ALLOCATING) else current)
        elif layers and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], current)
        else:
            pending, position = current, len(layers)
    if pending is not None:
        layers.insert(position, pending)
    return nn.Sequential(*layers).eval()


def commutes_with_affine(layer: nn.Module) -> bool:
    """Whether `layer` commutes with an affine map per channel. True for averages over equally many values.

    A maximum depends on the sign of the scale, and padding is not shifted with the image.
    """
    if isinstance(layer, nn.AvgPool2d):
        return layer.padding in (0, (0, 0))
    return isinstance(layer, nn.AdaptiveAvgPool2d | nn.Flatten)


def _with_norm_before(norm: nn.BatchNorm2d, layer: nn.Module) -> nn.Module | None:
    """`norm` followed by `layer` as one layer; None if they cannot be merged."""
    scale, shift = _affine(norm)
    if isinstance(layer, nn.Conv2d) and layer.padding in (0, (0, 0), "valid"):
        # A filter sees only the channels of its own group, along the weight's second axis.
        scale, shift = (values.reshape(layer.groups, 1, -1, 1, 1) for values in (scale, shift))
        grouped = layer.weight.reshape(layer.groups, -1, *layer.weight.shape[1:])
        weight = (grouped * scale).reshape(layer.weight.shape)
        bias = (grouped * shift).sum(dim=(2, 3, 4)).flatten()
    elif isinstance(layer, nn.Linear):
        features = layer.in_features // norm.num_features  # per channel; a channel's features are adjacent
        weight = layer.weight * scale.repeat_interleave(features)
        bias = layer.weight @ shift.repeat_interleave(features)
    else:
        return None
    merged = copy.copy(layer)
    merged._parameters = dict(layer._parameters)
    merged.weight = nn.Parameter(weight.contiguous(memory_format=_layout(layer.weight)), requires_grad=False)
    merged.bias = nn.Parameter(bias if layer.bias is None else layer.bias + bias, requires_grad=False)
    return merged


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The scale and shift per channel that `norm` applies in eval mode."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift + norm.bias if norm.affine else shift


def _layout(weight: Tensor) -> torch.memory_format:
    is_channels_last = weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_channels_last else torch.contiguous_format


def _in_place(layer: nn.Module) -> nn.Module:
    if not hasattr(layer, "inplace"):
        return layer
    layer = copy.copy(layer)
    setattr(layer, "inplace", True)  # noqa: B010 # mypy takes a module's attributes for tensors and modules
    return layer
