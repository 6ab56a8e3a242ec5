"""ReLU, batch norm and dropout as one layer compute the numbers of torch's own layers."""

import copy
from typing import Any

import numba
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archsearch.training.fused.layer import FusedNorm
from archsearch.training.fused.pooling import pool_image, unpool_image
from archsearch.training.fused.values import read, write

pytestmark = pytest.mark.usefixtures("one_thread")


def results(network: nn.Module, images: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Outputs, gradients and statistics of one pass, for the loss sum(weights * outputs)."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    torch.manual_seed(3)
    outputs = network.train()(images)
    (outputs * weights).sum().backward()
    assert images.grad is not None
    values = {"outputs": outputs.detach(), "images": images.grad}
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.grad is not None and layer.bias.grad is not None
            assert layer.running_mean is not None and layer.running_var is not None
            values |= {"weight": layer.weight.grad, "bias": layer.bias.grad}
            values |= {"mean": layer.running_mean, "var": layer.running_var}
    return values


def plain_layers(norm: nn.BatchNorm2d, dropout: nn.Dropout2d | None, relus: str) -> list[nn.Module]:
    before, behind = ([nn.ReLU()] if place in relus else [] for place in ("before", "behind"))
    return [*before, norm, *behind, *([dropout] if dropout else [])]


def fused_layer(norm: nn.BatchNorm2d, dropout: nn.Dropout2d | None, relus: str, pool: Any = None) -> FusedNorm:
    return FusedNorm(norm, dropout, pool, relu_before="before" in relus, relu_behind="behind" in relus)


@pytest.mark.parametrize(
    "shape", [(5, 1, 6, 7), (4, 3, 9, 9), (8, 12, 5, 5), (3, 16, 4, 4), (6, 20, 1, 1), (2, 48, 3, 3)]
)
@pytest.mark.parametrize("rate", [0.3, 0.0])
@pytest.mark.parametrize("relus", ["before", "behind", "before and behind", "none"])
def test_numbers_equal_those_of_torch_in_double_precision(shape: tuple[int, ...], relus: str, rate: float) -> None:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(shape[1], eps=1e-3, momentum=0.3)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    dropout = nn.Dropout2d(rate) if rate else None
    layers = plain_layers(norm, dropout, relus)
    images = (torch.randn(shape) * 2 + 0.5).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(shape)
    expected = results(copy.deepcopy(nn.Sequential(*layers)).double(), images.double(), weights.double())
    values = results(fused_layer(norm, dropout, relus), images, weights)
    if rate:
        assert torch.equal(values["outputs"] == 0, expected["outputs"] == 0)  # the same channels are dropped
    for name, value in expected.items():
        torch.testing.assert_close(values[name].double(), value, rtol=2e-4, atol=2e-4 * float(value.abs().max()))


@pytest.mark.parametrize("shape", [(5, 1, 6, 7), (8, 12, 5, 5), (6, 20, 2, 2)])
@pytest.mark.parametrize(("relus", "rate"), [("before", 0.3), ("behind", 0.3), ("none", 0.0)])
def test_in_bfloat16_only_inputs_and_outputs_are_rounded(shape: tuple[int, ...], relus: str, rate: float) -> None:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(shape[1])
    dropout = nn.Dropout2d(rate) if rate else None
    layers = plain_layers(norm, dropout, relus)
    images, weights = torch.randn(shape).bfloat16(), torch.randn(shape).bfloat16()
    expected = results(copy.deepcopy(nn.Sequential(*layers)).double(), images.double(), weights.double())
    values = results(fused_layer(norm, dropout, relus), images, weights)
    for name, value in expected.items():
        tolerance = 2**-8 if name in ("outputs", "images") else 1e-5  # half of the last of eight bits
        torch.testing.assert_close(values[name].double(), value, rtol=tolerance, atol=1e-4)


POOLS = [nn.AvgPool2d(2), nn.MaxPool2d(2)]


@pytest.mark.parametrize("shape", [(5, 1, 6, 7), (4, 3, 9, 9), (8, 12, 5, 4), (3, 16, 2, 2), (2, 20, 3, 2)])
@pytest.mark.parametrize("pool", POOLS, ids=["average", "maximum"])
@pytest.mark.parametrize("relus", ["before", "behind"])
def test_pooling_gives_the_numbers_of_torch_to_the_digit(shape: tuple[int, ...], pool: Any, relus: str) -> None:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(shape[1])
    images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    images[0, 0] = 1  # equal values: the gradient goes to the first
    weights = torch.randn(shape[0], shape[1], shape[2] // 2, shape[3] // 2)
    separate = nn.Sequential(fused_layer(copy.deepcopy(norm), nn.Dropout2d(0.3), relus), pool)
    expected = results(separate, images, weights)
    values = results(fused_layer(norm, nn.Dropout2d(0.3), relus, pool), images, weights)
    torch.testing.assert_close(values, expected, rtol=0, atol=0)


@pytest.mark.parametrize("pool", POOLS, ids=["average", "maximum"])
def test_in_bfloat16_values_are_pooled_before_they_are_rounded(pool: Any) -> None:
    torch.manual_seed(1)
    images, weights = torch.randn(8, 12, 6, 7).bfloat16(), torch.randn(8, 12, 3, 3).bfloat16()
    norm = nn.BatchNorm2d(12)
    expected = results(nn.Sequential(copy.deepcopy(norm), nn.ReLU(), pool).double(), images.double(), weights.double())
    values = results(FusedNorm(norm, None, pool, relu_before=False, relu_behind=True), images, weights)
    for name, value in expected.items():
        tolerance = 2**-8 if name in ("outputs", "images") else 1e-5
        torch.testing.assert_close(values[name].double(), value, rtol=tolerance, atol=1e-4)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_maximum_of_nan_is_nan_and_takes_the_gradient_of_its_window(place: int) -> None:
    values = torch.tensor([1.0, 3.0, 2.0, 3.0])
    values[place] = torch.nan
    gradients, outputs, places = np.ones(1, np.float32), np.empty(1, np.float32), np.empty(1, np.uint8)
    pool_image(values.numpy(), 0, (2, 2, places), outputs)
    assert np.isnan(outputs).all() and places == [place]
    unpooled = np.empty(4, np.float32)
    unpool_image(gradients, 0, (2, 2, places), unpooled)
    assert unpooled.tolist() == [1 if index == place else 0 for index in range(4)]


def test_numbers_are_rounded_to_bfloat16_as_torch_rounds() -> None:
    bits = torch.randint(-(2**31), 2**31, (200_000,), generator=torch.Generator().manual_seed(0), dtype=torch.int64)
    special = torch.tensor(
        [0.0, -0.0, torch.inf, -torch.inf, torch.nan, 3.4e38, -3.4e38, 1e-45, 1.00390625, 1.01171875]
    )
    numbers = torch.cat([bits.int().view(torch.float32), special])
    written = np.zeros(len(numbers), np.uint16)
    write_all(numbers.numpy(), written)
    rounded, expected = torch.from_numpy(written).view(torch.bfloat16), numbers.bfloat16()
    assert torch.equal(rounded.isnan(), numbers.isnan())
    assert torch.equal(rounded[~numbers.isnan()], expected[~numbers.isnan()])
    read_back = np.empty(len(numbers), np.float32)
    read_all(written, read_back)
    torch.testing.assert_close(torch.from_numpy(read_back), rounded.float(), rtol=0, atol=0, equal_nan=True)


@numba.njit
def write_all(numbers: Any, outputs: Any) -> None:
    for index in range(len(numbers)):
        write(outputs, index, numbers[index])


@numba.njit
def read_all(numbers: Any, outputs: Any) -> None:
    for index in range(len(numbers)):
        outputs[index] = read(numbers[index])


def test_nan_stays_nan_in_its_channel() -> None:
    images = torch.zeros(2, 3, 4, 4)
    images[1, 2, 0, 0] = torch.nan
    outputs = FusedNorm(nn.BatchNorm2d(3), relu_before=True)(images)
    assert outputs[:, 2].isnan().all()
    assert not outputs[:, :2].isnan().any()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_both_memory_layouts_give_the_numbers_of_torch(layout: torch.memory_format) -> None:
    images = torch.randn(3, 5, 4, 6, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)
    outputs = FusedNorm(nn.BatchNorm2d(5), relu_before=True)(images)
    torch.testing.assert_close(outputs, nn.BatchNorm2d(5)(images.relu()))
