"""The arithmetic, held against the built modules, a gradient probe and torch's own counter: never against itself."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import ConfigError
from archsearch.model.builder import build_plan
from tests.support.models import BLOCKS, HEADS, MNIST, lower, problems_of
from tests.support.requests import ask, session4


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
    network = lower(ask(f"model={preset}").config["model"])
    assert network.params == params
    assert sum(weight.numel() for weight in build_plan(network).parameters()) == params


def test_end_dropout_drops_only_there() -> None:
    network = lower(ask("model=session4_end_dropout").config["model"])
    dropouts = [(layer.path, layer.kind, layer.arguments["p"]) for layer in network.layers if "Dropout" in layer.kind]
    assert dropouts == [("conv3.dropout", "Dropout2d", 0.25), ("conv5.dropout", "Dropout2d", 0.25)]


def test_session5_step1_has_no_dropout_and_pools_twice() -> None:
    kinds = [layer.kind for layer in lower(ask("model=session5_step1").config["model"]).layers]
    assert kinds.count("AvgPool2d") == 2 and not any("Dropout" in kind for kind in kinds)


def test_several_misfits_are_reported_at_once() -> None:
    model = session4(
        conv6={"channels": 7, "kernel_size": 5, "groups": 2},
        conv7={"channels": 7, "padding": "same", "stride": 2, "norm": "group", "norm_groups": 2},
        pool8={"type": "pool", "pool_size": 4},
    )
    assert problems_of(model) == [
        "model.blocks.conv6: `channels` (=7) must be divisible by `groups` (=2)",
        "model.blocks.conv6: kernel_size 5 does not fit its 3x3 input",
        "model.blocks.conv7: `padding` (=same) needs `stride` 1, got 2",
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
def test_misfits(change: dict[str, Any], message: str) -> None:
    assert any(f"model.blocks.conv5: {message}" in problem for problem in problems_of(session4(conv5=change)))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    blocks=st.lists(BLOCKS, min_size=1, max_size=4),
    head=HEADS,
    size=st.sampled_from([(1, 28, 28), (3, 19, 24), (2, 9, 7)]),
    width=st.sampled_from([0.5, 1, 1.3]),
)
def test_arithmetic_agrees_with_the_built_network(
    blocks: list[dict[str, Any]], head: dict[str, Any], size: tuple[int, int, int], width: float
) -> None:
    model = {"width": width, "blocks": {f"b{i}": block for i, block in enumerate(blocks)}, "head": head}
    try:
        network = lower(model, size)
    except ConfigError:
        assume(False)
    module = build_plan(network)
    seen: dict[str, tuple[int, ...]] = {}
    for path, layer in module.named_modules():
        layer.register_forward_hook(lambda _m, _i, out, path=path: seen.__setitem__(path, tuple(out.shape[1:])))

    module.train()(torch.randn(2, *size))  # a training step must work, too
    assert {layer.path: layer.output for layer in network.layers} == {
        path: shape for path, shape in seen.items() if "." in path
    }
    for layer in network.layers:
        assert sum(weight.numel() for weight in module.get_submodule(layer.path).parameters()) == layer.params
    assert network.output_shape == (10,)

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval()(torch.randn(1, *size))
    assert counter.get_total_flops() == 2 * network.macs


def test_macs_of_session4_layer_by_layer() -> None:
    network = lower(session4())
    module = build_plan(network).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(torch.randn(1, *MNIST))
    counted = counter.get_flop_counts()
    for layer in network.layers:
        assert sum(counted.get(f"Sequential.{layer.path}", {}).values()) == 2 * layer.macs, layer.path


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
def test_receptive_field_and_jump_by_gradient_probe(changes: dict[str, Any]) -> None:
    """The gradient of one output value in the middle of a large image is non-zero exactly in its receptive field."""
    side = 90
    model = session4(**changes) | {"dropout": 0, "activation": "none", "norm": "none"}
    network = lower(model, (1, side, side))
    features = nn.Sequential(*list(build_plan(network).double())[:-1])
    for weight in features.parameters():
        nn.init.uniform_(weight, 0.5, 1)  # positive: no two paths cancel
    for module in features.modules():  # the maximum is one input's; the average has the same window, and shows it whole
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
    last = [layer for layer in network.layers if layer.block != "head"][-1]
    assert windows[0][1] - windows[0][0] + 1 == last.receptive_field
    assert windows[1][0] - windows[0][0] == last.jump


@pytest.mark.parametrize("head", ["linear", "gap", "conv"])
def test_receptive_field_of_the_logits_by_gradient_probe(head: str) -> None:
    model = session4() | {"dropout": 0, "activation": "none", "norm": "none", "head": {"type": head}}
    network = lower(model)
    module = build_plan(network).double()
    for weight in module.parameters():
        nn.init.uniform_(weight, 0.5, 1)
    image = torch.rand(1, *MNIST, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(image)[0, 0], image)
    seen = gradient[0, 0].abs().sum(dim=0).nonzero()
    assert len(seen) == network.receptive_field == 26
