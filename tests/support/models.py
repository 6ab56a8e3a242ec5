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


def lower(model: object, shape: tuple[int, ...] = MNIST, classes: int = 10) -> Plan:
    spec, problems = parse_model(model)
    assert spec is not None, problems
    return plan(spec, shape, classes)


def problems_of(model: object, shape: tuple[int, ...] = MNIST) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        lower(model, shape)
    return [str(problem) for problem in caught.value.problems]


_PLAIN = st.one_of(
    st.fixed_dictionaries(
        {"channels": st.sampled_from([4, 8, 12])},
        optional={
            "kernel_size": st.one_of(st.integers(1, 5), st.lists(st.integers(1, 3), min_size=2, max_size=2)),
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
    st.fixed_dictionaries(
        {"type": st.just("pool")},
        optional={
            "pool": st.sampled_from(["max", "avg"]),
            "pool_size": st.one_of(st.integers(1, 3), st.lists(st.integers(1, 3), min_size=2, max_size=2)),
            "pool_stride": st.integers(1, 2),
            "padding": st.integers(0, 1),
            "ceil_mode": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("pool"), "pool": st.just("blur")}, optional={"pool_size": st.integers(1, 4)}
    ),
    st.fixed_dictionaries(
        {"type": st.just("adaptive_pool"), "output_size": st.integers(1, 5)},
        optional={"pool": st.sampled_from(["max", "avg"])},
    ),
)


# Blocks that keep height and width, and their channels at 8, so that they fit into branches and residuals.
_KEEPING = st.one_of(
    st.fixed_dictionaries(
        {"channels": st.just(8), "kernel_size": st.sampled_from([1, 3]), "padding": st.just("same")},
        optional={
            "groups": st.sampled_from([1, "depthwise"]),
            "activation": st.sampled_from(["relu", "silu", "none"]),
            "norm": st.sampled_from(["batch", "group", "none"]),
            "dropout": st.sampled_from([0.0, 0.2]),
            "order": st.permutations(["conv", "activation", "norm", "dropout"]),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("separable"), "channels": st.just(8), "padding": st.just(1)},
        optional={"dropout": st.sampled_from([0.0, 0.2])},
    ),
)
_STEM = {"channels": 8, "kernel_size": 1}  # depthwise blocks after it have 8 channels


def _named(blocks: st.SearchStrategy[dict[str, Any]], least: int, most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Between `least` and `most` blocks by name."""
    lists = st.lists(blocks, min_size=least, max_size=most)
    return lists.map(lambda drawn: {f"c{index}": block for index, block in enumerate(drawn)})


def _after_stem(blocks: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A group of a block with 8 channels and one of `blocks`."""
    return blocks.map(lambda block: {"type": "group", "blocks": {"stem": _STEM, "block": block}})


_NESTED = st.recursive(
    _KEEPING,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("residual"), "body": _named(inner, 1, 2)},
            optional={"repeat": st.integers(1, 2), "activation": st.sampled_from(["relu", "none"])},
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("parallel"),
                "join": st.sampled_from(["add", "multiply"]),
                "branches": st.fixed_dictionaries({"a": _named(inner, 1, 2), "b": _named(inner, 0, 1)}),
            }
        ),
        st.fixed_dictionaries({"type": st.just("squeeze_excite")}, optional={"reduction": st.sampled_from([2, 4])}),
        st.fixed_dictionaries({"type": st.just("group"), "blocks": _named(inner, 1, 2)}),
    ),
    max_leaves=4,
)
_CHANGING = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("residual"), "body": _named(_KEEPING, 1, 2), "stride": st.just(2)},
        optional={"repeat": st.integers(1, 2), "norm": st.sampled_from(["batch", "none"])},
    ),
    st.fixed_dictionaries(
        {"type": st.just("inverted_residual"), "channels": st.sampled_from([4, 8]), "padding": st.just(1)},
        optional={
            "expansion": st.integers(1, 3),
            "stride": st.integers(1, 2),
            "repeat": st.integers(1, 2),
            "shortcut": st.sampled_from(["identity", "conv"]),
        },
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("parallel"),
            "branches": st.fixed_dictionaries({"a": _named(_KEEPING, 1, 2), "b": _named(_KEEPING, 0, 1)}),
        }
    ),
)
# Blocks whose layers have a counterpart in a stack, and those that have none.
BLOCKS = st.one_of(_PLAIN, _after_stem(_NESTED), _after_stem(_CHANGING))
ALL_BLOCKS = st.one_of(
    BLOCKS,
    _after_stem(
        st.one_of(
            st.just({"type": "spatial_attention", "kernel_size": 3}),
            st.fixed_dictionaries(
                {
                    "type": st.just("residual"),
                    "body": st.just({"conv": {"channels": 12, "padding": 1}}),
                    "shortcut": st.just("pad"),
                    "stride": st.integers(1, 2),
                    "drop": st.sampled_from([0.0, 0.2]),
                }
            ),
        )
    ),
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
    st.fixed_dictionaries({"type": st.just("gap")}, optional={"bias": st.booleans()}),
    st.fixed_dictionaries(
        {"type": st.just("conv")},
        optional={
            "bias": st.booleans(),
            "hidden": st.lists(st.integers(1, 9), max_size=1),
            "class_activation": st.sampled_from(["relu", "none"]),
        },
    ),
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
def networks(
    draw: st.DrawFn, count: int = 1, kinds: st.SearchStrategy[dict[str, Any]] = BLOCKS
) -> tuple[list[nn.Sequential], tuple[int, ...]]:
    """`count` equal networks of any layers that fit each other, and the shape of their images."""
    blocks = draw(st.lists(kinds, min_size=1, max_size=4))
    model = {"blocks": {f"b{index}": block for index, block in enumerate(blocks)}, "head": draw(HEADS)}
    shape, channels_last = draw(SHAPES), draw(st.booleans())
    try:
        return [trained(model, shape, channels_last) for _ in range(count)], shape
    except ConfigError:
        reject()
