"""Networks with fused layers."""

import copy

import pytest
import torch
from torch import nn

from archsearch.model.builder import build_plan
from archsearch.training.fused.in_float32 import InFloat32, is_slow_in_bfloat16
from archsearch.training.fused.layer import FusedNorm
from archsearch.training.fused.network import fused
from tests.support.training import CPU, candidate

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("+model.order=[conv,norm,activation,dropout]",),
        ("+model.order=[norm,activation,conv,dropout]",),
        ("+model.activation=gelu",),
        ("+model.norm=group", "+model.norm_groups=2"),
        ("+model.dropout_kind=element",),
        ("model=session4_gap",),
        ("model=session4", "model.blocks.trans1.pool=max"),
    ],
)
def test_a_fused_network_trains_like_the_plain_one_in_double_precision(overrides: tuple[str, ...]) -> None:
    """In single precision torch's own sums are a thousand times less accurate than the tolerance."""
    plan = candidate("model.dropout=0.2", *overrides).plan
    torch.manual_seed(2)
    single = build_plan(plan).to(memory_format=torch.channels_last)
    double = copy.deepcopy(single).double()
    pixels, labels = torch.rand(32, *plan.input_shape), torch.randint(10, (32,))
    for network, forward in ((double, double), (single, fused(single, CPU))):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        torch.manual_seed(4)
        network.train()
        images = pixels.to(next(network.parameters()).dtype)
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.cross_entropy(forward(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for value, expected in zip(single.state_dict().values(), double.state_dict().values(), strict=True):
        torch.testing.assert_close(value.double(), expected.double(), rtol=1e-4, atol=1e-5)


@pytest.fixture
def fusable() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Dropout2d(0.1), nn.Flatten())


def test_norms_in_branches_are_fused() -> None:
    network = fused(build_plan(candidate("model=resnet20_b", "model.width=0.25").plan), CPU)
    kinds = [type(module) for module in network.modules()]
    assert kinds.count(FusedNorm) == 1 + 3 * 6 + 2


def test_relu_norm_and_dropout_become_one_layer(fusable: nn.Sequential) -> None:
    assert [type(layer) for layer in fused(fusable, CPU).children()] == [nn.Conv2d, FusedNorm, nn.Flatten]


@pytest.mark.parametrize("kind", [nn.AvgPool2d, nn.MaxPool2d])
def test_pooling_of_2x2_is_fused(kind: type[nn.Module]) -> None:
    def layers(pool: nn.Module) -> list[type[nn.Module]]:
        network = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout2d(0.1), pool)
        return [type(layer) for layer in fused(network, CPU).children()]

    for pool in (kind(2), kind((2, 2), stride=2)):
        assert layers(pool) == [FusedNorm]
    for pool in (kind(3), kind(2, stride=1), kind((2, 1)), kind(2, padding=1), kind(2, ceil_mode=True)):
        assert layers(pool) == [FusedNorm, kind]


def test_parameters_are_shared_with_the_plain_network(fusable: nn.Sequential) -> None:
    assert {id(value) for value in fused(fusable, CPU).parameters()} == {id(value) for value in fusable.parameters()}


def test_nothing_is_fused_for_a_gpu(fusable: nn.Sequential) -> None:
    assert fused(fusable, torch.device("cuda")) is fusable


def test_nothing_is_fused_with_more_than_two_threads(fusable: nn.Sequential) -> None:
    torch.set_num_threads(3)
    assert fused(fusable, CPU) is fusable


def test_nothing_is_fused_in_double_precision(fusable: nn.Sequential) -> None:
    network = fusable.double()
    assert fused(network, CPU) is network


def test_a_norm_without_weights_is_not_fused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2, affine=False))
    assert fused(network, CPU) is network


def test_group_norm_is_computed_in_float32_within_bfloat16() -> None:
    plan = candidate("+model.norm=group", "+model.norm_groups=2").plan
    network = build_plan(plan).train()
    forward = fused(network, CPU)
    assert [type(module) for module in forward.modules()].count(InFloat32) == 5
    images = torch.rand(8, *plan.input_shape)
    torch.testing.assert_close(forward(images), network(images))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer = InFloat32(nn.GroupNorm(2, 4))
        pixels = torch.randn(3, 4, 5, 5).bfloat16()
        outputs = layer(pixels)
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs, layer.layer(pixels.float()).bfloat16(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "is_slow"),
    [
        (nn.Conv2d(8, 8, 3, groups=8), False),
        (nn.Conv2d(8, 8, 3, groups=8, stride=(2, 1)), True),
        (nn.Conv2d(8, 8, 3, groups=8, dilation=2), True),
        (nn.Conv2d(8, 8, (1, 5), groups=8), True),
        (nn.Conv2d(8, 16, 3, groups=8), True),
        (nn.Conv2d(8, 8, 3, groups=4), True),
        (nn.Conv2d(8, 8, 3, groups=2, stride=2), False),
        (nn.Conv2d(1, 8, 3, stride=2), False),
    ],
)
def test_grouped_convolutions_that_bfloat16_slows_down_compute_in_float32(layer: nn.Conv2d, is_slow: bool) -> None:
    assert is_slow_in_bfloat16(layer) is is_slow
    network = nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels))
    assert [type(child) for child in fused(network, CPU).children()] == [nn.Conv2d, FusedNorm]
    kinds = [type(child) for child in fused(network, CPU, bfloat16=True).children()]
    assert kinds == [InFloat32 if is_slow else nn.Conv2d, FusedNorm]


def test_a_convolution_in_float32_gives_bfloat16() -> None:
    layer = nn.Conv2d(4, 4, 3, groups=4, stride=2)
    images = torch.randn(2, 4, 7, 7).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = InFloat32(layer)(images)
    torch.testing.assert_close(outputs, layer(images.float()).bfloat16(), rtol=0, atol=0)
