"""A network for inference: batch norm folded into its neighbours, dropout left out, activations in place."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A network that gives what `network` gives in eval mode, up to rounding, in fewer passes over memory.

    A batch norm behind a convolution becomes part of it; one in front of an unpadded convolution or a linear layer
    (with average pooling, flattening and dropout in between, or not) becomes part of that. What cannot be folded stays.
    Shares the parameters that it does not change, so it is to be made again after a step of training.
    """
    network = network.eval()
    if not isinstance(network, nn.Sequential):
        return network
    layers: list[nn.Module] = []
    waiting: nn.BatchNorm2d | None = None
    place = 0  # of the batch norm that waits, among the layers
    for layer in _flat(network):
        if isinstance(layer, nn.Dropout | nn.Dropout2d):
            continue
        added = layer
        if waiting is not None and not commutes_with_affine(layer):
            into = _into(waiting, layer)
            if into is None:
                layers.insert(place, waiting)
            else:
                added = into
            waiting = None
        if not isinstance(added, nn.BatchNorm2d) or not added.track_running_stats:
            layers.append(_in_place(added) if layers else added)
        elif layers and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], added)
        else:
            waiting, place = added, len(layers)
    if waiting is not None:
        layers.insert(place, waiting)
    return nn.Sequential(*layers).eval()


def _flat(network: nn.Sequential) -> Iterator[nn.Module]:
    for layer in network:
        if isinstance(layer, nn.Sequential):
            yield from _flat(layer)
        else:
            yield layer


def commutes_with_affine(layer: nn.Module) -> bool:
    """Whether an affine map of each channel may be moved behind `layer`: if that takes means of equally many values.

    A maximum would have to know the sign of the scale, and a padded window sees the shift inside the image only.
    """
    if isinstance(layer, nn.AvgPool2d):
        return layer.padding in (0, (0, 0))
    return isinstance(layer, nn.AdaptiveAvgPool2d | nn.Flatten)


def _into(norm: nn.BatchNorm2d, layer: nn.Module) -> nn.Module | None:
    """`layer` with `norm` in front of it, as one layer; None where that is none."""
    scale, shift = _affine(norm)
    if isinstance(layer, nn.Conv2d) and layer.padding in (0, (0, 0), "valid"):
        # A filter sees the channels of its group only: those at its place along the second axis.
        scale, shift = (each.reshape(layer.groups, 1, -1, 1, 1) for each in (scale, shift))
        grouped = layer.weight.reshape(layer.groups, -1, *layer.weight.shape[1:])
        weight = (grouped * scale).reshape(layer.weight.shape)
        bias = (grouped * shift).sum(dim=(2, 3, 4)).flatten()
    elif isinstance(layer, nn.Linear):
        each = layer.in_features // norm.num_features  # values of a channel, next to each other
        weight = layer.weight * scale.repeat_interleave(each)
        bias = layer.weight @ shift.repeat_interleave(each)
    else:
        return None
    into = copy.copy(layer)
    into._parameters = dict(layer._parameters)
    into.weight = nn.Parameter(weight.contiguous(memory_format=_layout(layer.weight)), requires_grad=False)
    into.bias = nn.Parameter(bias if layer.bias is None else layer.bias + bias, requires_grad=False)
    return into


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What `norm` does in eval mode: a scale and a shift a channel."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift + norm.bias if norm.affine else shift


def _layout(weight: Tensor) -> torch.memory_format:
    is_last = weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format


def _in_place(layer: nn.Module) -> nn.Module:
    if not hasattr(layer, "inplace"):
        return layer
    layer = copy.copy(layer)
    setattr(layer, "inplace", True)  # noqa: B010 # a module's attributes are tensors and modules to the type checker
    return layer
