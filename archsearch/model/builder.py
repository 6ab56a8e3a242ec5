"""A plan -> the network: `nn.Sequential` of named blocks, each an `nn.Sequential` of named layers."""

from collections import OrderedDict
from itertools import groupby

from torch import nn

from archsearch.model.plan import Layer, Plan, Shape, plan
from archsearch.model.spec import ModelSpec


def build(spec: ModelSpec, input_shape: Shape, classes: int) -> nn.Sequential:
    """Build `spec` for images of `input_shape` = (channels, height, width).

    The network maps (batch, channels, height, width) to logits (batch, classes). Every input size is inferred by
    arithmetic. Raises `ConfigError` where blocks do not fit each other.
    """
    return build_plan(plan(spec, input_shape, classes))


def build_plan(network: Plan) -> nn.Sequential:
    """Build a network that has been planned. Submodules are named as the plan's `Layer.path`."""
    return nn.Sequential(
        OrderedDict(
            (block, nn.Sequential(OrderedDict((layer.name, _module(layer)) for layer in layers)))
            for block, layers in groupby(network.layers, key=lambda layer: layer.block)
        )
    )


def _module(layer: Layer) -> nn.Module:
    module = getattr(nn, layer.kind)(**layer.arguments)
    assert isinstance(module, nn.Module)
    return module
