"""Plan to network: an `nn.Sequential` of named blocks, each an `nn.Sequential` of named layers."""

import importlib
from collections import OrderedDict

from torch import nn

from archsearch.model.layers import Parallel
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import ModelSpec
from archsearch.model.tree import Layer, Node, Sequence, Shape


def build(spec: ModelSpec, input_shape: Shape, classes: int) -> nn.Sequential:
    """Build `spec` for images of `input_shape` = (channels, height, width).

    The network maps (batch, channels, height, width) to logits (batch, classes). Raises `ConfigError` if the blocks do
    not fit together.
    """
    return build_plan(plan(spec, input_shape, classes))


def build_plan(plan: Plan) -> nn.Sequential:
    """Build the network of `plan`. Each submodule is named by the path of its node."""
    return _sequential(plan.nodes)


def _sequential(nodes: tuple[Node, ...]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((node.path.rpartition(".")[2], _module(node)) for node in nodes))


def _module(node: Node) -> nn.Module:
    if isinstance(node, Layer):
        return build_layer(node)
    if isinstance(node, Sequence):
        return _sequential(node.children)
    branches = {branch.path.rpartition(".")[2]: _sequential(branch.children) for branch in node.branches}
    return Parallel(branches, node.join)


def build_layer(layer: Layer) -> nn.Module:
    """The module of one layer."""
    module, _, name = layer.kind.rpartition(":")
    layer_class = getattr(importlib.import_module(module) if module else nn, name)
    instance = layer_class(**layer.arguments)
    assert isinstance(instance, nn.Module)
    return instance
