"""ReLU, batch norm and dropout as one layer compute the numbers of torch's own layers."""

import copy

import pytest
import torch
from torch import Tensor, nn

from archsearch.training.fused.layer import FusedNorm

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


@pytest.mark.parametrize(
    "shape", [(5, 1, 6, 7), (4, 3, 9, 9), (8, 12, 5, 5), (3, 16, 4, 4), (6, 20, 1, 1), (2, 48, 3, 3)]
)
@pytest.mark.parametrize(("rectify", "rate"), [(True, 0.3), (True, 0.0), (False, 0.3), (False, 0.0)])
def test_numbers_equal_those_of_torch_in_double_precision(shape: tuple[int, ...], rectify: bool, rate: float) -> None:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(shape[1], eps=1e-3, momentum=0.3)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    dropout = nn.Dropout2d(rate) if rate else None
    layers = [*([nn.ReLU()] if rectify else []), norm, *([dropout] if dropout else [])]
    images = (torch.randn(shape) * 2 + 0.5).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(shape)
    expected = results(copy.deepcopy(nn.Sequential(*layers)).double(), images.double(), weights.double())
    values = results(FusedNorm(norm, dropout, rectify=rectify), images, weights)
    if rate:
        assert torch.equal(values["outputs"] == 0, expected["outputs"] == 0)  # the same channels are dropped
    for name, value in expected.items():
        torch.testing.assert_close(values[name].double(), value, rtol=2e-4, atol=2e-4 * float(value.abs().max()))


def test_nan_stays_nan_in_its_channel() -> None:
    images = torch.zeros(2, 3, 4, 4)
    images[1, 2, 0, 0] = torch.nan
    outputs = FusedNorm(nn.BatchNorm2d(3), None, rectify=True)(images)
    assert outputs[:, 2].isnan().all()
    assert not outputs[:, :2].isnan().any()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_both_memory_layouts_give_the_numbers_of_torch(layout: torch.memory_format) -> None:
    images = torch.randn(3, 5, 4, 6, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=layout)
    outputs = FusedNorm(nn.BatchNorm2d(5), None, rectify=True)(images)
    torch.testing.assert_close(outputs, nn.BatchNorm2d(5)(images.relu()))
