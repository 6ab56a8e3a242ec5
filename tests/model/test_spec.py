"""The model language: what it accepts, and its errors."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from archsearch.compose.validate import validate
from archsearch.data.catalogue import dataset_info
from archsearch.model.blocks.conv import ConvBlock
from archsearch.model.blocks.pool import PoolBlock
from archsearch.model.builder import build_plan
from archsearch.model.plan import plan
from archsearch.model.spec import RESERVED, at_width, parse_model
from tests.support.requests import ask, session4


def problems_of(model: object) -> list[str]:
    spec, problems = parse_model(model)
    assert (spec is None) == bool(problems)
    return [str(problem) for problem in problems]


def conv_blocks(model: object) -> dict[str, ConvBlock]:
    spec, problems = parse_model(model)
    assert spec is not None, problems
    return {name: block for name, block in at_width(spec, 1).blocks if isinstance(block, ConvBlock)}


def test_blocks_keep_their_order() -> None:
    assert list(conv_blocks(session4())) == ["conv1", "conv2", "conv3", "trans1", "conv4", "conv5", "trans2"]


def test_blocks_inherit_the_settings_of_the_model() -> None:
    blocks = conv_blocks(session4() | {"activation": "silu", "norm": "group", "norm_groups": 4})
    assert {(block.activation, block.norm, block.norm_groups) for block in blocks.values()} == {("silu", "group", 4)}


def test_the_settings_of_a_block_override_those_of_the_model() -> None:
    blocks = conv_blocks(session4(conv2={"activation": "gelu"}))
    assert (blocks["conv1"].activation, blocks["conv2"].activation) == ("relu", "gelu")
    assert (blocks["conv1"].dropout, blocks["trans1"].dropout) == (0.1, 0)


def test_all_errors_of_a_model_are_reported_at_once() -> None:
    model = session4(
        conv3={"chanels": 3, "kernel_size": 0},
        conv4={"padding": "sme", "activation": "rleu"},
        conv5={"type": "cnov"},
    ) | {"wdth": 2, "head": {"type": "lin"}}
    assert problems_of(model) == [
        "model.wdth: unknown setting (did you mean width?)",
        "model.blocks.conv3.kernel_size: got 0, must be at least 1",
        "model.blocks.conv3.chanels: unknown setting (did you mean channels?)",
        "model.blocks.conv4.padding: got 'sme', must be a whole number or a list or one of same (did you mean same?)",
        "model.blocks.conv4.activation: got 'rleu', must be one of relu, leaky_relu, gelu, silu, elu, tanh, relu6,"
        " hardswish, mish, none (did you mean relu?)",
        "model.blocks.conv5.type: got 'cnov', must be one of adaptive_pool, conv, group, inverted_residual, parallel,"
        " pool, residual, separable, spatial_attention, squeeze_excite (did you mean conv?)",
        "model.head.type: got 'lin', must be one of linear, gap, conv, none (did you mean linear?)",
    ]


def test_an_invalid_setting_of_the_model_is_not_repeated_for_each_block() -> None:
    assert problems_of(session4() | {"norm": "bath"}) == [
        "model.norm: got 'bath', must be one of batch, group, layer, instance, none (did you mean batch?)"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": "12"}, "channels: got '12', must be a whole number"),
        ({"channels": True}, "channels: got true, must be a whole number"),
        ({"channels": 1.5}, "channels: got 1.5, must be a whole number"),
        ({"dropout": 1.0}, "dropout: got 1.0, must be less than 1.0"),
        ({"dropout": float("nan")}, "dropout: got nan, must be"),
        ({"bias": "yes"}, "bias: got 'yes', must be true or false"),
        ({"pool": "min"}, "pool: got 'min', must be one of max, avg, none"),
        ({"groups": 0}, "groups: got 0, must be at least 1"),
        ({"order": ["conv", "norm"]}, "`order` (=['conv', 'norm']) must name each of conv, activation, norm, dropout"),
        ({"order": ["conv", "norm", "norm", "dropout"]}, "must name each of"),
    ],
)
def test_invalid_values_are_rejected(change: dict[str, object], message: str) -> None:
    (problem,) = problems_of(session4(conv3=change))
    assert problem.startswith("model.blocks.conv3")
    assert message in problem


def test_the_error_for_a_block_without_channels_names_both_remedies() -> None:
    model = session4()
    model["blocks"]["extra"] = {"pool": "max", "pol_size": 3}
    assert problems_of(model) == [
        "model.blocks.extra: needs `channels`, or `type: pool` for a block that only pools",
        "model.blocks.extra.pol_size: unknown setting (did you mean pool_size?)",
    ]


@pytest.mark.parametrize("values", [None, 3, [], {"blocks": {}, "head": {}}, {"blocks": None, "head": {}}])
def test_a_model_must_be_a_mapping_with_blocks(values: object) -> None:
    assert any(problem.startswith(("model: ", "model.blocks: ")) for problem in problems_of(values))


@pytest.mark.parametrize("raw", [3, "conv", []])
def test_a_block_must_be_a_mapping(raw: object) -> None:
    model = session4()
    model["blocks"]["conv3"] = raw
    (problem,) = problems_of(model)
    assert problem.startswith("model.blocks.conv3: got ") and "must be a mapping of settings" in problem


@pytest.mark.parametrize("name", ["train", "head", "conv.1", "1conv", "_conv", "conv 1", ""])
def test_names_that_cannot_be_submodules_are_rejected(name: str) -> None:
    model = session4()
    model["blocks"][name] = {"channels": 4, "kernel_size": 1}
    assert problems_of(model)[0].startswith(f"model.blocks.{name}: ")


def test_all_public_attributes_of_sequential_are_reserved() -> None:
    assert {name for name in dir(nn.Sequential()) if not name.startswith("_")} <= RESERVED


@pytest.mark.parametrize(
    ("channels", "width", "groups", "expected"),
    [
        (12, 1.0, 5, 12),
        (12, 0.5, 1, 6),
        (5, 0.5, 1, 3),
        (3, 0.1, 1, 1),
        (12, 1.5, 4, 20),
        (12, 0.1, 4, 4),
        (10, 2, 1, 20),
    ],
)
def test_width_rounds_channels_to_the_nearest_multiple_of_groups(
    channels: int, width: float, groups: int, expected: int
) -> None:
    assert ConvBlock(channels=channels, groups=groups).scaled(width, 1)[1] == expected


def test_width_keeps_channels_divisible_by_norm_groups() -> None:
    block = ConvBlock(channels=12, groups=2, norm="group", norm_groups=3)
    assert [block.scaled(width, 1)[1] for width in (0.5, 0.75, 1.25)] == [6, 12, 18]


def test_width_keeps_channels_of_depthwise_blocks_divisible_by_their_inputs() -> None:
    model = {
        "width": 0.3,
        "blocks": {"conv": {"channels": 12}, "pool": {"type": "pool"}, "deep": {"channels": 24, "groups": "depthwise"}},
        "head": {"type": "gap"},
    }
    assert [block.channels for block in conv_blocks(model).values()] == [4, 8]


@pytest.mark.parametrize(
    ("block", "channels"),
    [
        ({"channels": 9, "groups": 3}, {0.5: 6, 1.0: 9, 1.5: 15}),  # 4.5 and 13.5: the nearest multiple, halves up
        ({"channels": 9, "groups": "depthwise"}, {0.5: 6, 1.0: 9, 1.5: 15}),
        ({"type": "separable", "channels": 9}, {0.5: 5, 1.0: 9, 1.5: 14}),
        ({"type": "inverted_residual", "channels": 9, "expansion": 1}, {0.5: 5, 1.0: 9, 1.5: 14}),
    ],
)
@pytest.mark.parametrize("width", [0.5, 1.0, 1.5])
def test_width_leaves_the_channels_of_the_images_to_the_first_block(
    block: dict[str, Any], channels: dict[float, int], width: float
) -> None:
    """A depthwise convolution of RGB images has three groups at every width."""
    rgb = (3, 32, 32)
    model = {"width": width, "blocks": {"first": block}, "head": {"type": "gap"}}
    spec, _ = parse_model(model)
    assert spec is not None
    ((_, scaled),) = at_width(spec, 3).blocks
    assert scaled.channels == channels[width]
    network = plan(spec, rgb, 10)
    assert network == plan(at_width(spec, 3), rgb, 10)
    first, *_ = network.layers
    assert (first.arguments["in_channels"], first.arguments["groups"]) == (3, 3)
    *_, last = network.nodes[0].layers()
    assert first.output[0] % 3 == 0 and last.output[0] == channels[width]
    build_plan(network)(torch.zeros(2, *rgb))
    checked = validate(ask().config | {"model": model}, lambda _: replace(dataset_info("mnist"), shape=rgb))
    assert checked.plan == network


def test_pool_blocks_inherit_nothing() -> None:
    model = session4() | {"padding": 1}
    model["blocks"]["pool"] = {"type": "pool", "pool": "avg"}
    spec, _ = parse_model(model)
    assert spec is not None and spec.blocks[-1][1] == PoolBlock(pool="avg")


def test_an_inherited_block_is_taken_out_with_null() -> None:
    model = session4()
    model["blocks"]["conv3"] = None
    assert list(conv_blocks(model)) == ["conv1", "conv2", "trans1", "conv4", "conv5", "trans2"]


def test_keys_that_begin_with_x_hold_what_anchors_refer_to() -> None:
    assert not problems_of(session4() | {"x-common": {"channels": 3}})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"model": session4()}, "model.model: a model's file has `blocks` and `head` at its top, not below `model:`"),
        ({"conv1": {"channels": 4}, "head": {"type": "gap"}}, "model: needs `blocks:`, with conv1 below it"),
        (session4() | {"head": "gap"}, "model.head: got 'gap', must be a mapping of settings; write {type: gap}, or use"
         " model.head.type=gap"),
        (session4() | {"head": None}, "model.head: is missing; add head: {type: gap}, or one of linear, gap, conv,"
         " none"),
        (session4() | {"channels": 3}, "model.channels: unknown setting; each block has its own"),
        (session4() | {"classes": 10}, "model.classes: unknown setting; their number is that of the data set, so leave"
         " it out"),
        (session4() | {"norm": False}, "model.norm: got false, must be one of batch, group, layer, instance, none (YAML"
         " reads off and no as false; use none)"),
        (session4(**{"True": {"channels": 3}}), "model.blocks.True: YAML reads on, off, yes and no as true and false;"
         " give the block another name"),
        ({"blocks": {"head": {"type": "gap"}}}, "model.blocks.head: `head` stands beside `blocks`, not in it"),
        (session4() | {"blocks": []}, "model.blocks: got [], must be a mapping of one or more named blocks, as in"
         " {conv1: {channels: 8}}"),
        (session4(head={"type": "gap"}), "model.blocks.head: `head` stands beside `blocks`, not in it"),
    ],
)  # fmt: skip
def test_what_was_meant_is_said(model: object, message: str) -> None:
    assert problems_of(model) == [message]


NESTED = {
    "padding": 1,
    "blocks": {
        "stage": {
            "type": "residual",
            "body": {"conv1": {"chanels": 4}, "conv2": {"channels": 4, "activation": "rleu"}, "conv3": {"type": "pol"}},
            "strid": 2,
        },
        "split": {"type": "parallel", "branches": {"a": {"c": {"channels": 0}}, "b": {}}},
        "alone": {"type": "parallel", "branches": {"a": {"c": {"channels": 4}}}},
        "empty": {"type": "group", "blocks": {}},
    },
    "head": {"type": "gap"},
}


def test_errors_at_any_depth_come_together() -> None:
    problems = problems_of(NESTED)
    starts = [
        "model.blocks.stage.body.conv1: needs `channels`",
        "model.blocks.stage.body.conv1.chanels: unknown setting (did you mean channels?)",
        "model.blocks.stage.body.conv2.activation: got 'rleu', must be one of",
        "model.blocks.stage.body.conv3.type: got 'pol', must be one of",
        "model.blocks.stage.strid: unknown setting (did you mean stride?)",
        "model.blocks.split.branches.a.c.channels: got 0, must be at least 1",
        "model.blocks.alone.branches: got {'a': {'c': {'channels': 4}}}, must be a mapping of two or more branches",
        "model.blocks.empty.blocks: got {}, must be a mapping of one or more named blocks,"
        " as in {conv1: {channels: 8}}",
    ]
    assert len(problems) == len(starts)
    assert all(problem.startswith(start) for problem, start in zip(problems, starts, strict=True)), problems


def test_blocks_cannot_be_nested_without_end() -> None:
    block: dict[str, object] = {"channels": 4}
    for _ in range(30):
        block = {"type": "group", "blocks": {"inner": block}}
    (problem,) = problems_of({"blocks": {"outer": block}, "head": {"type": "gap"}})
    assert problem.endswith("blocks can be nested 20 times at most")


def test_the_model_is_inherited_at_any_depth() -> None:
    model = {"activation": "silu", "blocks": {"group": {"type": "group", "blocks": {"conv": {"channels": 4}}}}}
    spec, problems = parse_model(model | {"head": {"type": "gap"}})
    assert spec is not None, problems
    assert dict(dict(spec.blocks)["group"].blocks)["conv"].activation == "silu"
