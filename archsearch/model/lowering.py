"""What a block lowers itself with: a method for each kind of layer, with its shape, window and cost. No torch."""

from math import ceil, prod
from typing import Literal

from archsearch.model.structure import Structure
from archsearch.model.tree import Argument, Pair

PairOrInt = int | Pair

_ACTIVATIONS = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "hardsigmoid": "Hardsigmoid",
    "relu6": "ReLU6",
    "hardswish": "Hardswish",
    "mish": "Mish",
}
_POOLS = {"max": "MaxPool2d", "avg": "AvgPool2d"}
_OWN = "archsearch.model.layers:"


class Lowering(Structure):
    """Appends layers. Each method takes the layer's name within its block."""

    def conv(
        self,
        channels: int,
        kernel_size: PairOrInt,
        *,
        stride: PairOrInt = 1,
        padding: PairOrInt | Literal["same"] = 0,
        dilation: PairOrInt = 1,
        groups: int = 1,
        bias: bool = True,
        name: str = "conv",
    ) -> None:
        """A convolution to `channels`."""
        inputs = self.channels
        for label, count in (("in_channels", inputs), ("channels", channels)):
            if count % groups:
                self.report(f"`{label}` (={count}) must be divisible by `groups` (={groups})")
        (kernel_down, kernel_across), strides = pair(kernel_size), pair(stride)
        dilations = pair(dilation)
        extent = dilations[0] * (kernel_down - 1) + 1, dilations[1] * (kernel_across - 1) + 1
        if padding == "same":
            if strides != (1, 1):
                half = extent[0] // 2, extent[1] // 2
                advice = f"use padding {half[0] if half[0] == half[1] else list(half)}"
                self.report(f"`padding` (=same) needs `stride` 1, got {_text(stride)}; {advice}")
            sides = self.side
            around = (extent[0] - 1) // 2, (extent[1] - 1) // 2
        else:
            assert not isinstance(padding, str)
            around = pair(padding)
            height, width = map(_windows, self.side, extent, strides, around)
            sides = height, width
            if self.sized and min(sides) < 1:
                dilated = f" with dilation {_text(dilation)} (extent {_text(_short(extent))})" * (dilations != (1, 1))
                around_text = f" padded by {_text(padding)}" * (around != (0, 0))
                kernel = f"kernel_size {_text(kernel_size)}{dilated}"
                self.report(f"{kernel} does not fit its {self.side[0]}x{self.side[1]} input{around_text}")
                self.sized = False
        self.slide(extent, strides, around)
        self.shape = (channels, *sides)
        weights = channels * (inputs // groups) * kernel_down * kernel_across
        arguments: dict[str, Argument] = {
            "in_channels": inputs,
            "out_channels": channels,
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "bias": bias,
        }
        counts = ("in_channels", "out_channels", "groups")
        params, macs = weights + channels * bias, weights * prod(sides)
        self.add(name, "Conv2d", arguments, params, macs, channel_counts=counts)

    def activation(self, kind: str, name: str = "activation") -> None:
        """An activation function; nothing for `none`."""
        if kind != "none":
            self.add(name, _ACTIVATIONS[kind], channel_counts=())

    def norm(self, kind: str, groups: int = 1, name: str = "norm") -> None:
        """A norm of all channels; nothing for `none`."""
        channels = self.channels
        params = 2 * channels
        features = ("num_features",)
        if kind == "batch":
            arguments = {"num_features": channels}
            self.add(name, "BatchNorm2d", arguments, params, channel_counts=features, batch_statistics=True)
        elif kind == "instance":
            if self.sized and self.side == (1, 1):
                self.report("`norm` (=instance) cannot normalise a 1x1 image: all values would become 0")
            arguments = {"num_features": channels, "affine": True}
            self.add(name, "InstanceNorm2d", arguments, params, channel_counts=features)
        elif kind != "none":
            groups = 1 if kind == "layer" else groups
            if self.sized and channels // groups * prod(self.side) == 1:
                self.report(f"`norm` (={kind}) cannot normalise groups of one value: all would become 0")
            if channels % groups:
                self.report(f"`channels` (={channels}) must be divisible by `norm_groups` (={groups})")
            arguments = {"num_groups": groups, "num_channels": channels}
            self.add(name, "GroupNorm", arguments, params, channel_counts=("num_groups", "num_channels"))

    def vector_norm(self, kind: str, name: str = "norm") -> None:
        """A norm of a vector's features; nothing for `none`."""
        (features,) = self.shape
        if kind == "batch":
            self.add(name, "BatchNorm1d", {"num_features": features}, 2 * features, batch_statistics=True)
        elif kind == "layer":
            if features == 1:
                self.report("`norm` (=layer) cannot normalise one value: it would become 0")
            self.add(name, "LayerNorm", {"normalized_shape": features}, 2 * features)

    def dropout(self, probability: float, kind: str = "element", name: str = "dropout") -> None:
        """Dropout of single values (`element`) or of whole channels (`channel`); nothing for probability 0."""
        if probability > 0:
            self.add(name, "Dropout2d" if kind == "channel" else "Dropout", {"p": probability})

    def pool(
        self,
        kind: str,
        size: PairOrInt,
        stride: PairOrInt | None = None,
        *,
        padding: PairOrInt = 0,
        ceil_mode: bool = False,
        name: str = "pool",
    ) -> None:
        """Max or average pooling. Padding does not count for an average at the border, as in most papers."""
        sizes, padded = pair(size), pair(padding)
        strides = sizes if stride is None else pair(stride)
        if self.sized and any(
            window > side + 2 * around
            for window, side, around in zip(sizes, self.side, padded, strict=True)
        ):  # fmt: skip
            around_text = f" padded by {_text(padding)}" * (padded != (0, 0))
            self.report(f"pool_size {_text(size)} does not fit its {self.side[0]}x{self.side[1]} input{around_text}")
            self.sized = False
        if any(2 * around > window for window, around in zip(sizes, padded, strict=True)):
            self.report(f"`padding` (={_text(padding)}) must be at most half of `pool_size` (={_text(size)})")
        sides = [
            _windows(*values, ceil_mode=ceil_mode) for values in zip(self.side, sizes, strides, padded, strict=True)
        ]
        self.slide(sizes, strides, padded)
        self.shape = (self.channels, *sides)
        arguments: dict[str, Argument] = {"kernel_size": size, "stride": _short(strides)}
        if padded != (0, 0):
            arguments["padding"] = padding
            if kind == "avg":
                arguments["count_include_pad"] = False
        if ceil_mode:
            arguments["ceil_mode"] = True
        self.add(name, _POOLS[kind], arguments, channel_counts=())

    def adaptive_pool(self, kind: str, size: PairOrInt, name: str = "pool") -> None:
        """Pooling to an output of `size`. The window is that of the largest of its windows, which can differ."""
        sizes = pair(size)
        if self.sized and any(out > side for out, side in zip(sizes, self.side, strict=True)):
            self.report(f"output size {_text(size)} is larger than its {self.side[0]}x{self.side[1]} input")
            self.sized = False
        windows = tuple(
            max((ceil((k + 1) * side / out) - k * side // out for k in range(min(out, side))), default=1)
            for side, out in zip(self.side, sizes, strict=True)
        )
        steps = tuple(max(1, side // out) for side, out in zip(self.side, sizes, strict=True))
        self.slide((windows[0], windows[1]), (steps[0], steps[1]))
        self.shape = (self.channels, *sizes)
        pool = "AdaptiveMaxPool2d" if kind == "max" else "AdaptiveAvgPool2d"
        self.add(name, pool, {"output_size": size}, channel_counts=())

    def blur_pool(self, size: int, stride: int, name: str = "pool") -> None:
        """A binomial filter of `size` x `size`, then every `stride`-th pixel; the image is reflected at its border."""
        around = (size - 1) // 2
        if self.sized and (around >= min(self.side) or size > min(self.side) + 2 * around):
            self.report(f"pool_size {size} does not fit its {self.side[0]}x{self.side[1]} input")
            self.sized = False
        sides = [_windows(side, size, stride, around) for side in self.side]
        self.slide((size, size), (stride, stride), (around, around))
        self.shape = (self.channels, *sides)
        arguments: dict[str, Argument] = {"channels": self.channels, "kernel_size": size, "stride": stride}
        macs = prod(self.shape) * size * size
        self.add(name, f"{_OWN}BlurPool2d", arguments, macs=macs, channel_counts=("channels",))

    def stochastic_depth(self, probability: float, name: str = "drop") -> None:
        """Drop the whole branch for some images in training; nothing for probability 0."""
        if probability > 0:
            self.add(name, f"{_OWN}StochasticDepth", {"p": probability})

    def pad_channels(self, channels: int, stride: PairOrInt, name: str = "pad") -> None:
        """Every `stride`-th pixel, with channels of zeros on both sides up to `channels`."""
        strides = pair(stride)
        if channels < self.channels:
            self.report(f"`shortcut` (=pad) cannot reduce {self.channels} channels to {channels}; use conv")
        arguments: dict[str, Argument] = {
            "in_channels": self.channels,
            "out_channels": channels,
            "stride": _short(strides),
        }
        self.slide((1, 1), strides)
        sides = [-(-side // step) for side, step in zip(self.side, strides, strict=True)]
        self.shape = (channels, *sides)
        self.add(name, f"{_OWN}PadChannels", arguments)

    def channel_statistics(self, name: str = "statistics") -> None:
        """The mean and the maximum over the channels."""
        self.shape = (2, *self.side)
        self.add(name, f"{_OWN}ChannelStatistics")

    def global_pool(self, name: str = "pool") -> None:
        """The average of each channel."""
        self.see_all()
        self.shape = (self.channels, 1, 1)
        self.add(name, "AdaptiveAvgPool2d", {"output_size": 1}, channel_counts=())

    def flatten(self, name: str = "flatten") -> None:
        """All values as one vector."""
        self.see_all()
        self.shape = (prod(self.shape),)
        self.add(name, "Flatten")

    def linear(self, features: int, *, bias: bool = True, name: str = "linear") -> None:
        """A linear layer of a vector to `features`."""
        (inputs,) = self.shape
        self.shape = (features,)
        arguments = {"in_features": inputs, "out_features": features, "bias": bias}
        self.add(name, "Linear", arguments, features * (inputs + bias), inputs * features)


def pair(value: PairOrInt) -> Pair:
    """`value` down and across."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _short(values: Pair) -> PairOrInt:
    return values[0] if values[0] == values[1] else values


def _text(value: PairOrInt) -> str:
    return str(value) if isinstance(value, int) else str(list(value))


def _windows(side: int, size: int, stride: int, padding: int, *, ceil_mode: bool = False) -> int:
    """The number of windows, as torch counts them. With `ceil_mode`, none begins in the padding at the end."""
    free = side + 2 * padding - size
    if not ceil_mode:
        return free // stride + 1
    count = -(-free // stride) + 1
    return count - 1 if (count - 1) * stride >= side + padding else count
