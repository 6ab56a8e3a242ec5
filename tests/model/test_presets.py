"""The presets: their parameters and MACs, and their outputs where torchvision has the same network."""

from pathlib import Path
from typing import Any

import pytest
import torch

from archsearch.model.builder import build_plan
from archsearch.model.layers import Parallel
from tests.support.models import lower
from tests.support.presets import CIFAR, PRESETS, plan_of
from tests.support.requests import ask


def model_of(preset: str) -> Any:
    return ask(f"model={preset}").config["model"]


def test_every_preset_is_listed() -> None:
    assert set(PRESETS) == {path.stem for path in Path("conf/model").glob("*.yaml")}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_their_parameters_and_macs(name: str) -> None:
    preset, plan = PRESETS[name], plan_of(name)
    assert plan.params == preset.params
    assert plan.macs / 1e6 == pytest.approx(preset.macs, rel=3e-4)
    network = build_plan(plan)
    assert sum(weight.numel() for weight in network.parameters()) == preset.params
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, *preset.shape)).shape == (1, preset.classes)


def test_the_steps_of_session5_differ_in_what_their_comments_say() -> None:
    dropouts = [
        [layer.arguments["p"] for layer in lower(model_of(f"session5_step{step}")).layers if "Dropout" in layer.kind]
        for step in (1, 2, 3, 4)
    ]
    assert dropouts == [[], [0.05] * 5, [0.05] * 5, []]
    pools = [layer for layer in lower(model_of("session5_step3")).layers if layer.name == "pool"]
    before = [layer for layer in lower(model_of("session5_step3")).layers if layer.block == "conv2"]
    assert before[-1].receptive_field == 5
    assert [(layer.block, layer.kind) for layer in pools] == [("pool1", "AvgPool2d"), ("head", "AdaptiveAvgPool2d")]


def test_session7_is_what_the_assignment_asks_for() -> None:
    layers = lower(model_of("session7"), CIFAR).layers
    convs = [layer for layer in layers if layer.kind == "Conv2d"]
    last = [layer for layer in convs if layer.path.endswith(("down.conv", "block4.conv2.conv"))]
    assert [layer.receptive_field for layer in last] == [7, 19, 51, 83]
    assert not any(layer.kind == "MaxPool2d" for layer in layers)
    assert [layer.path for layer in convs if layer.arguments["dilation"] == 2] == ["block3.conv1.conv"]
    assert sum(layer.arguments["groups"] == layer.output[0] for layer in convs) == 4
    assert sum(layer.arguments["stride"] == 2 for layer in convs) == 3
    assert [layer.kind for layer in layers if layer.block == "head"] == ["AdaptiveAvgPool2d", "Flatten", "Linear"]


@pytest.mark.filterwarnings("ignore:.*pretrained|.*weights")
def test_squeezenet_computes_what_torchvisions_does() -> None:
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    theirs = squeezenet1_1(num_classes=20).eval()
    ours = build_plan(lower(model_of("squeezenet1_1"), (3, 224, 224), 20)).eval()
    for weight, value in zip(ours.parameters(), theirs.parameters(), strict=True):
        weight.data.copy_(value.data)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_inverted_residuals_compute_what_torchvisions_do() -> None:
    from torchvision.models.mobilenetv2 import InvertedResidual

    torch.manual_seed(0)
    settings = {"type": "inverted_residual", "activation": "relu6", "padding": 1, "bias": False}
    order = ["conv", "norm", "activation", "dropout"]
    for channels, stride, expansion in ((8, 1, 6), (12, 1, 6), (8, 2, 3), (8, 1, 1)):
        block = {**settings, "order": order, "channels": channels, "stride": stride, "expansion": expansion}
        plan = lower({"blocks": {"block": block}, "head": {"type": "gap"}}, (8, 16, 16))
        ours = build_plan(plan).get_submodule("block").train()
        theirs = InvertedResidual(8, channels, stride, expansion).train()
        for weight, value in zip(ours.parameters(), theirs.parameters(), strict=True):
            weight.data.copy_(value.data)
        images = torch.randn(4, 8, 16, 16)
        torch.testing.assert_close(ours(images), theirs(images))


def test_residuals_compute_what_torchvisions_basic_block_does() -> None:
    from torchvision.models.resnet import BasicBlock

    torch.manual_seed(0)
    theirs = BasicBlock(8, 8).train()
    body = {"conv1": {"channels": 8, "padding": 1}, "conv2": {"channels": 8, "padding": 1, "activation": "none"}}
    model = {
        "bias": False,
        "order": ["conv", "norm", "activation", "dropout"],
        "blocks": {"block": {"type": "residual", "body": body}},
        "head": {"type": "gap"},
    }
    ours = build_plan(lower(model, (8, 16, 16))).get_submodule("block").train()
    for weight, value in zip(ours.parameters(), theirs.parameters(), strict=True):
        weight.data.copy_(value.data)
    images = torch.randn(4, 8, 16, 16)
    torch.testing.assert_close(ours(images), theirs(images))
    assert any(isinstance(module, Parallel) for module in ours.modules())
