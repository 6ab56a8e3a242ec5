"""Plans, compared with the built network, with gradients and with torch's counter of operations."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.model.builder import build_plan
from tests.support.models import MNIST, lower, problems_of
from tests.support.requests import ask, session4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("preset", "params"),
    [
        ("session4", 12_954),
        ("session4_end_dropout", 12_954),
        ("session4_gap", 11_674),
        ("session4_conv_head", 11_674),
        ("session5_step1", 4_750),
    ],
)
def test_presets_have_their_parameters(preset: str, params: int) -> None:
    plan = lower(ask(f"model={preset}").config["model"])
    assert plan.params == params
    assert sum(weight.numel() for weight in build_plan(plan).parameters()) == params


def test_session4_end_dropout_has_dropout_at_the_end_of_each_block_only() -> None:
    plan = lower(ask("model=session4_end_dropout").config["model"])
    dropouts = [(layer.path, layer.kind, layer.arguments["p"]) for layer in plan.layers if "Dropout" in layer.kind]
    assert dropouts == [("conv3.dropout", "Dropout2d", 0.25), ("conv5.dropout", "Dropout2d", 0.25)]


def test_session5_step1_has_no_dropout_and_pools_twice() -> None:
    kinds = [layer.kind for layer in lower(ask("model=session5_step1").config["model"]).layers]
    assert kinds.count("AvgPool2d") == 2 and not any("Dropout" in kind for kind in kinds)


def test_all_misfits_are_reported_at_once() -> None:
    model = session4(
        conv6={"channels": 7, "kernel_size": 5, "groups": 2},
        conv7={"channels": 7, "padding": "same", "stride": 2, "norm": "group", "norm_groups": 2},
        pool8={"type": "pool", "pool_size": 4},
    )
    assert problems_of(model) == [
        "model.blocks.conv6: `channels` (=7) must be divisible by `groups` (=2)",
        "model.blocks.conv6: kernel_size 5 does not fit its 3x3 input",
        "model.blocks.conv7: `padding` (=same) needs `stride` 1, got 2; use padding 1",
        "model.blocks.conv7: `channels` (=7) must be divisible by `norm_groups` (=2)",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_size": 3, "dilation": 5}, "kernel_size 3 with dilation 5 (extent 11) does not fit its 9x9 input"),
        ({"pool": "max", "pool_size": 8}, "pool_size 8 does not fit its 7x7 input"),
        ({"groups": 3}, "`in_channels` (=16) must be divisible by `groups` (=3)"),
        ({"kernel_size": 9, "norm": "instance"}, "`norm` (=instance) cannot normalise a 1x1 image"),
        (
            {"kernel_size": 9, "norm": "group", "norm_groups": 32},
            "`norm` (=group) cannot normalise groups of one value",
        ),
        ({"kernel_size": 13, "padding": 1}, "kernel_size 13 does not fit its 9x9 input padded by 1"),
    ],
)
def test_misfits_name_the_block_and_the_rule(change: dict[str, Any], message: str) -> None:
    assert any(f"model.blocks.conv5: {message}" in problem for problem in problems_of(session4(conv5=change)))


def test_repeats_of_repeats_have_a_limit() -> None:
    block: dict[str, Any] = {"channels": 1, "kernel_size": 1}
    for _ in range(5):
        block = {"type": "group", "repeat": 1000, "blocks": {"inner": block}}
    (problem,) = problems_of({"blocks": {"outer": block}, "head": {"type": "gap"}})
    assert problem.endswith("the model has more than 50,000 layers")


def test_blocks_after_a_misfit_are_checked_as_far_as_possible() -> None:
    blocks = {
        "pool1": {"type": "pool", "pool_size": 9, "pool_stride": 9},
        "pool2": {"type": "pool"},
        "pool3": {"type": "adaptive_pool", "output_size": 2},
    }
    assert problems_of({"blocks": blocks, "head": {"type": "gap"}}, (1, 8, 8)) == [
        "model.blocks.pool1: pool_size 9 does not fit its 8x8 input"
    ]


def test_each_layer_of_session4_has_the_macs_that_torch_counts() -> None:
    plan = lower(session4())
    network = build_plan(plan).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.randn(1, *MNIST))
    counts = counter.get_flop_counts()
    for layer in plan.layers:
        assert sum(counts.get(f"Sequential.{layer.path}", {}).values()) == 2 * layer.macs, layer.path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conv1": {"stride": 2}},
        {"conv2": {"dilation": 3}, "conv4": {"padding": "same"}},
        {"conv3": {"kernel_size": 5, "padding": 2, "pool": "max", "pool_size": 3, "pool_stride": 2}},
        {"conv5": None, "trans2": {"kernel_size": 2}},
    ],
)
def test_the_gradient_of_one_output_covers_its_receptive_field(changes: dict[str, Any]) -> None:
    """The windows of two neighbouring outputs, in the middle of a large image, are one jump apart."""
    side = 90
    model = session4(**changes) | {"dropout": 0, "activation": "none", "norm": "none"}
    plan = lower(model, (1, side, side))
    features = nn.Sequential(*list(build_plan(plan).double())[:-1])
    for weight in features.parameters():
        nn.init.uniform_(weight, 0.5, 1)  # positive, so that no two paths cancel
    for module in features.modules():  # the gradient of a maximum covers one pixel, that of an average the whole window
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride))
    image = torch.rand(1, 1, side, side, dtype=torch.double, requires_grad=True)
    output = features(image)
    middle = output.shape[-1] // 2
    windows = []
    for column in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(output[0, 0, middle, column], image, retain_graph=True)
        columns = gradient[0, 0].abs().sum(dim=0).nonzero().flatten()
        windows.append((int(columns.min()), int(columns.max())))
    last = [layer for layer in plan.layers if layer.block != "head"][-1]
    assert windows[0][1] - windows[0][0] + 1 == last.receptive_field
    assert windows[1][0] - windows[0][0] == last.jump
