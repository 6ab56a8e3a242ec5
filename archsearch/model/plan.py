"""A model as a tree of layers with their shapes, parameters, MACs and receptive fields, by arithmetic. No torch.

`plan` lowers a `ModelSpec`: each block appends its layers. The builder makes one module of each node, so the plan that
is checked and printed is the network that is trained. `archsearch.model.tree` has the nodes and the conventions.
"""

from collections.abc import Sequence as Sequence_
from dataclasses import dataclass
from functools import cached_property

from archsearch.errors import ConfigError
from archsearch.model.blocks.base import lower_blocks
from archsearch.model.lowering import Lowering
from archsearch.model.spec import ModelSpec, at_width
from archsearch.model.tree import Layer, Node, Shape

CUSTOM = "custom"  # in place of a model's name: a network of one's own


@dataclass(frozen=True)
class Plan:
    """The blocks and the head of a network, as nodes in order, and their totals."""

    input_shape: Shape
    nodes: tuple[Node, ...]

    @cached_property
    def layers(self) -> Sequence_[Layer]:
        """All layers in the order in which they are called."""
        return tuple(layer for node in self.nodes for layer in node.layers())

    @property
    def params(self) -> int:
        """Total number of parameters. All are trainable."""
        return sum(layer.params for layer in self.layers)

    @property
    def trainable_params(self) -> int:
        """Parameters that require a gradient."""
        return self.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def receptive_field(self) -> int:
        """Receptive field of the logits, in input pixels; 0 if unknown."""
        return self.layers[-1].receptive_field

    @property
    def output_shape(self) -> Shape:
        """(classes,)"""
        return self.layers[-1].output


def plan(spec: ModelSpec, input_shape: Shape, classes: int, path: str = "model") -> Plan:
    """Lower `spec` for inputs of `input_shape` = (channels, height, width).

    Raises `ConfigError` with every misfit. If a block does not fit its input, the blocks after it are checked only for
    errors that do not depend on height and width.
    """
    spec = at_width(spec, input_shape[0])
    lowering = Lowering(input_shape)
    lower_blocks(spec.blocks, lowering, f"{path}.blocks")
    with lowering.block("head", f"{path}.head"):
        spec.head.lower(lowering, classes)
    if lowering.problems:
        raise ConfigError(lowering.problems)
    return Plan(input_shape, tuple(lowering.nodes))
