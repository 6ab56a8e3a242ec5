"""A model's layers with their shapes, parameters, MACs and receptive fields, by arithmetic. No torch.

`plan` lowers a `ModelSpec` to a list of `Layer`s. The builder makes one module of each, so the plan that is checked and
printed is the network that is trained. Conventions:

- Shapes are (channels, height, width) or (features,), without the batch dimension.
- MACs are the multiply-accumulates of convolutions and linear layers for one image. Bias, activation, norm and pooling
  count as 0.
- The receptive field is the side, in input pixels, of the square that one output value depends on. It is not clipped at
  the image's border, and the statistics of norm layers do not count.
- The jump is the stride between neighbouring outputs, in input pixels.

The last two are defined as in Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill
2019.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from archsearch.errors import ConfigError, Problem
from archsearch.model.spec import Activation, Block, ConvBlock, Head, LinearHead, ModelSpec, Pool

Shape = tuple[int, ...]

CUSTOM = "custom"  # in place of a model's name: a network of one's own

_ACTIVATIONS: dict[Activation, str] = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "tanh": "Tanh",
    "relu6": "ReLU6",
    "hardswish": "Hardswish",
    "mish": "Mish",
}
_POOLS: dict[Pool, str] = {"max": "MaxPool2d", "avg": "AvgPool2d"}


@dataclass(frozen=True)
class Layer:
    """One module of the network: its place, its constructor arguments, its output shape and its cost."""

    block: str
    name: str
    kind: str  # the class in torch.nn
    arguments: Mapping[str, int | float | bool | str]
    output: Shape
    params: int
    macs: int
    receptive_field: int  # 0 if unknown, like the jump: the layer is not from a model
    jump: int

    @property
    def path(self) -> str:
        """The submodule's name in the network, such as `conv1.norm`."""
        return f"{self.block}.{self.name}" if self.name else self.block


@dataclass(frozen=True)
class Plan:
    """The layers of a network in order, and their totals."""

    input_shape: Shape
    layers: tuple[Layer, ...]

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
    lowering = _Lowering(input_shape)
    for name, block in spec.blocks:
        lowering.add_block(name, block, f"{path}.blocks.{name}")
    lowering.add_head(spec.head, classes)
    if lowering.problems:
        raise ConfigError(lowering.problems)
    return Plan(input_shape, tuple(lowering.layers))


@dataclass
class _Lowering:
    """The state while layers are appended: the current shape, receptive field and jump."""

    shape: Shape
    receptive_field: int = 1
    jump: int = 1
    sized: bool = True  # False once a block did not fit: height and width are unknown from there on
    layers: list[Layer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add_block(self, name: str, block: Block, path: str) -> None:
        if isinstance(block, ConvBlock):
            for step in block.order:
                if step == "conv":
                    self._add_conv(name, block, path)
                elif step == "activation":
                    self._add_activation(name, "activation", block.activation)
                elif step == "norm":
                    self._add_norm(name, block, path)
                elif block.dropout > 0:
                    kind = "Dropout2d" if block.dropout_kind == "channel" else "Dropout"
                    self._append(name, "dropout", kind, {"p": block.dropout})
        if block.pool != "none":
            self._add_pool(name, block.pool, block.pool_size, block.pool_stride or block.pool_size, path)

    def add_head(self, head: Head, classes: int) -> None:
        if isinstance(head, LinearHead):
            self._add_flatten()
            for number, size in enumerate(head.hidden, 1):
                self._add_head_dropout(head, f"dropout{number}")
                self._add_linear(f"hidden{number}", size, head.bias)
                self._add_activation("head", f"activation{number}", head.activation)
            self._add_head_dropout(head, "dropout")
            self._add_linear("linear", classes, head.bias)
        elif head.type == "gap":
            self._add_global_pool()
            self._add_flatten()
            self._add_head_dropout(head, "dropout")
            self._add_linear("linear", classes, head.bias)
        else:
            self._add_head_dropout(head, "dropout")
            arguments = {"in_channels": self.shape[0], "out_channels": classes, "kernel_size": 1, "bias": head.bias}
            params = classes * (self.shape[0] + head.bias)
            macs = classes * prod(self.shape)
            self.shape = (classes, *self.shape[1:])
            self._append("head", "conv", "Conv2d", arguments, params, macs)
            self._add_global_pool()
            self._add_flatten()

    def _append(
        self,
        block: str,
        name: str,
        kind: str,
        arguments: Mapping[str, int | float | bool | str] | None = None,
        params: int = 0,
        macs: int = 0,
    ) -> None:
        self.layers.append(
            Layer(block, name, kind, arguments or {}, self.shape, params, macs, self.receptive_field, self.jump)
        )

    def _apply_window(self, kernel: int, stride: int) -> None:
        """Update receptive field and jump for a `kernel` x `kernel` window with `stride`."""
        self.receptive_field += (kernel - 1) * self.jump
        self.jump *= stride

    def _add_conv(self, name: str, block: ConvBlock, path: str) -> None:
        in_channels, height, width = self.shape
        groups = in_channels if block.groups == "depthwise" else block.groups
        self._check_groups(block, in_channels, groups, path)
        extent = block.dilation * (block.kernel_size - 1) + 1
        if block.padding == "same":
            if block.stride != 1:
                self._report(path, f"`padding` (=same) needs `stride` 1, got {block.stride}")
            sizes: Shape = (height, width)
        else:
            padding = block.padding
            sizes = tuple((size + 2 * padding - extent) // block.stride + 1 for size in (height, width))
            if self.sized and min(sizes) < 1:
                dilated = f" with dilation {block.dilation} (extent {extent})" if block.dilation > 1 else ""
                padded = f" padded by {padding}" if padding else ""
                kernel = f"kernel_size {block.kernel_size}{dilated}"
                self._report(path, f"{kernel} does not fit its {height}x{width} input{padded}")
                self.sized = False
        self._apply_window(extent, block.stride)
        self.shape = (block.channels, *sizes)
        weights = block.channels * (in_channels // groups) * block.kernel_size**2
        arguments = {
            "in_channels": in_channels,
            "out_channels": block.channels,
            "kernel_size": block.kernel_size,
            "stride": block.stride,
            "padding": block.padding,
            "dilation": block.dilation,
            "groups": groups,
            "bias": block.bias,
        }
        params = weights + block.channels * block.bias
        self._append(name, "conv", "Conv2d", arguments, params, weights * prod(sizes))

    def _check_groups(self, block: ConvBlock, in_channels: int, groups: int, path: str) -> None:
        for name, channels in (("in_channels", in_channels), ("channels", block.channels)):
            if channels % groups:
                self._report(path, f"`{name}` (={channels}) must be divisible by `groups` (={groups})")

    def _add_activation(self, block: str, name: str, activation: Activation) -> None:
        if activation != "none":
            self._append(block, name, _ACTIVATIONS[activation])

    def _add_norm(self, name: str, block: ConvBlock, path: str) -> None:
        channels = self.shape[0]
        params = 2 * channels
        if block.norm == "batch":
            self._append(name, "norm", "BatchNorm2d", {"num_features": channels}, params)
        elif block.norm == "instance":
            if self.sized and self.shape[1:] == (1, 1):
                self._report(path, "`norm` (=instance) cannot normalise a 1x1 image: all values would become 0")
            self._append(name, "norm", "InstanceNorm2d", {"num_features": channels, "affine": True}, params)
        elif block.norm != "none":
            groups = 1 if block.norm == "layer" else block.norm_groups
            if self.sized and channels // groups * prod(self.shape[1:]) == 1:
                self._report(path, f"`norm` (={block.norm}) cannot normalise groups of one value: all would become 0")
            if channels % groups:
                rule = f"`channels` (={channels}) must be divisible by `norm_groups` (={groups})"
                self._report(path, rule)
            self._append(name, "norm", "GroupNorm", {"num_groups": groups, "num_channels": channels}, params)

    def _add_pool(self, name: str, pool: Pool, size: int, stride: int, path: str) -> None:
        channels, height, width = self.shape
        if self.sized and size > min(height, width):
            self._report(path, f"pool_size {size} does not fit its {height}x{width} input")
            self.sized = False
        self._apply_window(size, stride)
        self.shape = (channels, (height - size) // stride + 1, (width - size) // stride + 1)
        self._append(name, "pool", _POOLS[pool], {"kernel_size": size, "stride": stride})

    def _add_global_pool(self) -> None:
        self._extend_to_image()
        self.shape = (self.shape[0], 1, 1)
        self._append("head", "pool", "AdaptiveAvgPool2d", {"output_size": 1})

    def _add_flatten(self) -> None:
        self._extend_to_image()
        self.shape = (prod(self.shape),)
        self._append("head", "flatten", "Flatten")

    def _extend_to_image(self) -> None:
        """Let the receptive field cover the current height and width."""
        self.receptive_field += (max(self.shape[1:]) - 1) * self.jump

    def _add_head_dropout(self, head: Head, name: str) -> None:
        if head.dropout > 0:
            self._append("head", name, "Dropout", {"p": head.dropout})

    def _add_linear(self, name: str, out_features: int, bias: bool) -> None:
        (in_features,) = self.shape
        self.shape = (out_features,)
        arguments = {"in_features": in_features, "out_features": out_features, "bias": bias}
        params = out_features * (in_features + bias)
        self._append("head", name, "Linear", arguments, params, in_features * out_features)

    def _report(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))
