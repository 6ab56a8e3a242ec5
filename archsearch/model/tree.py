"""The nodes of a plan: layers, sequences of nodes, and branches that are joined. No torch.

Conventions:

- Shapes are (channels, height, width) or (features,), without the batch dimension.
- MACs are the multiply-accumulates of convolutions and linear layers for one image. Bias, activation, norm, pooling and
  the joining of branches count as 0.
- The window of a node is the height and width, in input pixels, of the part of the image that one of its output values
  depends on; the receptive field is the larger of the two. It is not clipped at the image's border. Statistics over all
  pixels, of a norm layer or of a branch that squeezes the image to 1x1, do not count.
- The jump is the stride between neighbouring outputs, in input pixels, down and across. Where the windows of adaptive
  pooling differ, the window is the largest and the jump the smallest, and what follows is an estimate.

The last two are defined as in Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill
2019.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Shape = tuple[int, ...]
Pair = tuple[int, int]  # down and across
Argument: TypeAlias = int | float | bool | str | tuple[int, ...]
Join = Literal["add", "multiply", "concat"]


@dataclass(frozen=True)
class Layer:
    """One module of the network: its place, its constructor arguments, its output shape and its cost."""

    block: str
    name: str
    kind: str  # a class of torch.nn, or `module:Class`
    arguments: Mapping[str, Argument]
    output: Shape
    params: int
    macs: int
    window: Pair  # (0, 0) if unknown, like the jumps: the layer is not from a model
    jumps: Pair
    # What later passes may rely on; by default nothing.
    channel_counts: tuple[str, ...] | None = None
    """If no group of an image's channels affects another: the arguments that count channels or groups, maybe none.

    With K times as many, the layer computes K layers side by side. Its parameters and statistics have an equal part for
    each channel or group, along their first axis.
    """
    batch_statistics: bool = False
    """Whether training normalises by statistics of the batch, which one value a channel does not have."""

    @property
    def path(self) -> str:
        """The submodule's name in the network, such as `conv1.norm`."""
        return f"{self.block}.{self.name}" if self.name else self.block

    @property
    def place(self) -> str:
        """The path of the sequence that the layer is in, such as `conv1`."""
        return self.path.rpartition(".")[0] if self.name else self.block

    @property
    def type_name(self) -> str:
        """The name of the class."""
        return self.kind.rpartition(":")[2]

    @property
    def receptive_field(self) -> int:
        """The larger side of the window."""
        return max(self.window)

    @property
    def jump(self) -> int:
        """The larger stride."""
        return max(self.jumps)

    def layers(self) -> "Iterator[Layer]":
        """The layer itself."""
        yield self


@dataclass(frozen=True)
class Sequence:
    """Nodes one after another; without any, its input."""

    path: str
    children: "tuple[Node, ...]"

    def layers(self) -> Iterator[Layer]:
        """The layers in the order in which they are called."""
        for child in self.children:
            yield from child.layers()


@dataclass(frozen=True)
class Parallel:
    """Branches that see the same input, and how their outputs are joined.

    `add` and `multiply` take equal shapes, or (channels, 1, 1) beside others; `concat` joins along the channels.
    """

    path: str
    join: Join
    branches: tuple[Sequence, ...]
    output: Shape
    window: Pair
    jumps: Pair

    @property
    def type_name(self) -> str:
        """The name of the class."""
        return "Parallel"

    @property
    def arguments(self) -> "Mapping[str, str]":
        """What is constructed, beside the branches."""
        return {"join": self.join, "branches": ", ".join(branch.path.rpartition(".")[2] for branch in self.branches)}

    @property
    def receptive_field(self) -> int:
        """The larger side of the window."""
        return max(self.window)

    def layers(self) -> Iterator[Layer]:
        """The layers of one branch after another."""
        for branch in self.branches:
            yield from branch.layers()


Node: TypeAlias = Layer | Sequence | Parallel


def steps(node: Node) -> "Iterator[Layer | Parallel]":
    """The layers in the order in which they are called, and each join before its branches."""
    if isinstance(node, Layer):
        yield node
        return
    if isinstance(node, Parallel):
        yield node
    for child in node.children if isinstance(node, Sequence) else node.branches:
        yield from steps(child)
