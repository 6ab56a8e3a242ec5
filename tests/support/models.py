"""Models for tests: lowered to plans, built as networks, and drawn at random by hypothesis."""

from typing import Any

import pytest
import torch
from hypothesis import reject
from hypothesis import strategies as st
from torch import nn

from archsearch.errors import ConfigError
from archsearch.model.builder import build_plan
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model

MNIST = (1, 28, 28)


def lower(model: object, shape: tuple[int, ...] = MNIST) -> Plan:
    spec, problems = parse_model(model)
    assert spec is not None, problems
    return plan(spec, shape, 10)


def problems_of(model: object, shape: tuple[int, ...] = MNIST) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        lower(model, shape)
    return [str(problem) for problem in caught.value.problems]


BLOCKS = st.one_of(
    st.fixed_dictionaries(
        {"channels": st.sampled_from([4, 8, 12])},
        optional={
            "kernel_size": st.integers(1, 5),
            "stride": st.integers(1, 2),
            "padding": st.one_of(st.integers(0, 3), st.just("same")),
            "dilation": st.integers(1, 2),
            "groups": st.sampled_from([1, 2, 4, "depthwise"]),
            "bias": st.booleans(),
            "activation": st.sampled_from(
                ["relu", "leaky_relu", "gelu", "silu", "elu", "tanh", "relu6", "hardswish", "mish", "none"]
            ),
            "norm": st.sampled_from(["batch", "group", "layer", "instance", "none"]),
            "norm_groups": st.sampled_from([1, 2, 4]),
            "dropout": st.sampled_from([0.0, 0.2]),
            "dropout_kind": st.sampled_from(["channel", "element"]),
            "order": st.permutations(["conv", "activation", "norm", "dropout"]),
            "pool": st.sampled_from(["max", "avg", "none"]),
            "pool_size": st.integers(1, 3),
            "pool_stride": st.integers(1, 3),
        },
    ),
    st.fixed_dictionaries({"type": st.just("pool")}, optional={"pool": st.sampled_from(["max", "avg"])}),
)


HEADS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("linear")},
        optional={
            "hidden": st.lists(st.integers(1, 9), max_size=2),
            "activation": st.sampled_from(["relu", "none"]),
            "dropout": st.sampled_from([0.0, 0.3]),
            "bias": st.booleans(),
        },
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["gap", "conv"])}, optional={"bias": st.booleans()}),
)


def trained(model: dict[str, Any], shape: tuple[int, ...] = MNIST, channels_last: bool = True) -> nn.Sequential:
    """A network in double precision whose batch norms have random statistics, weights and biases, as after training."""
    torch.manual_seed(0)
    network = build_plan(lower(model, shape)).double()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, -2, 2)
            nn.init.normal_(layer.bias)
    return network.to(memory_format=torch.channels_last) if channels_last else network


SHAPES = st.sampled_from([(1, 28, 28), (3, 19, 24), (2, 9, 7)])


@st.composite
def networks(draw: st.DrawFn, count: int = 1) -> tuple[list[nn.Sequential], tuple[int, ...]]:
    """`count` equal networks of any layers that fit each other, and the shape of their images."""
    blocks = draw(st.lists(BLOCKS, min_size=1, max_size=4))
    model = {"blocks": {f"b{index}": block for index, block in enumerate(blocks)}, "head": draw(HEADS)}
    shape, channels_last = draw(SHAPES), draw(st.booleans())
    try:
        return [trained(model, shape, channels_last) for _ in range(count)], shape
    except ConfigError:
        reject()
