"""Plan to network: an `nn.Sequential` of named blocks, each an `nn.Sequential` of named layers."""

from collections import OrderedDict
from itertools import groupby

from torch import nn

from archsearch.model.plan import Layer, Plan, Shape, plan
from archsearch.model.spec import ModelSpec


def build(spec: ModelSpec, input_shape: Shape, classes: int) -> nn.Sequential:
    """Build `spec` for images of `input_shape` = (channels, height, width).

    The network maps (batch, channels, height, width) to logits (batch, classes). Raises `ConfigError` if the blocks do
    not fit together.
    """
    return build_plan(plan(spec, input_shape, classes))


def build_plan(plan: Plan) -> nn.Sequential:
    """Build the network of `plan`. Each submodule is named by its `Layer.path`."""
    return nn.Sequential(
        OrderedDict(
            (block, nn.Sequential(OrderedDict((layer.name, _module(layer)) for layer in layers)))
            for block, layers in groupby(plan.layers, key=lambda layer: layer.block)
        )
    )


def _module(layer: Layer) -> nn.Module:
    module = getattr(nn, layer.kind)(**layer.arguments)
    assert isinstance(module, nn.Module)
    return module
