"""ReLU, batch norm and dropout as one layer: the numbers of torch's own, forward and backward."""

import copy

import pytest
import torch
from torch import Tensor, nn

from archsearch.compose.validate import validate
from archsearch.model.builder import build_plan
from archsearch.training.fused.layer import FusedNorm
from archsearch.training.fused.network import fused
from tests.support.requests import QUICK, ask

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def results(network: nn.Module, images: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Outputs, gradients and statistics of one pass, for the loss sum(weights * outputs)."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    torch.manual_seed(3)
    outputs = network.train()(images)
    (outputs * weights).sum().backward()
    assert images.grad is not None
    found = {"outputs": outputs.detach(), "images": images.grad}
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.grad is not None and layer.bias.grad is not None
            assert layer.running_mean is not None and layer.running_var is not None
            found |= {"weight": layer.weight.grad, "bias": layer.bias.grad}
            found |= {"mean": layer.running_mean, "var": layer.running_var}
    return found


@pytest.mark.parametrize(
    "shape", [(5, 1, 6, 7), (4, 3, 9, 9), (8, 12, 5, 5), (3, 16, 4, 4), (6, 20, 1, 1), (2, 48, 3, 3)]
)
@pytest.mark.parametrize(("rectify", "rate"), [(True, 0.3), (True, 0.0), (False, 0.3), (False, 0.0)])
def test_numbers_are_those_of_torch_in_double_precision(shape: tuple[int, ...], rectify: bool, rate: float) -> None:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(shape[1], eps=1e-3, momentum=0.3)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    dropout = nn.Dropout2d(rate) if rate else None
    layers = [*([nn.ReLU()] if rectify else []), norm, *([dropout] if dropout else [])]
    images = (torch.randn(shape) * 2 + 0.5).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(shape)
    expected = results(copy.deepcopy(nn.Sequential(*layers)).double(), images.double(), weights.double())
    found = results(FusedNorm(norm, dropout, rectify=rectify), images, weights)
    if rate:
        assert torch.equal(found["outputs"] == 0, expected["outputs"] == 0)  # the same channels are dropped
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, rtol=2e-4, atol=2e-4 * float(value.abs().max()))


def test_what_is_no_number_stays_none() -> None:
    images = torch.randn(2, 3, 4, 4)
    images[1, 2, 0, 0] = torch.nan
    outputs = FusedNorm(nn.BatchNorm2d(3), None, rectify=True)(images)
    assert outputs[:, 2].isnan().all() and not outputs[:, :2].isnan().any()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_any_layout_is_right(layout: torch.memory_format) -> None:
    norm = nn.BatchNorm2d(5)
    images = torch.randn(3, 5, 4, 6).contiguous(memory_format=layout)
    torch.testing.assert_close(FusedNorm(norm, None, rectify=True)(images), nn.BatchNorm2d(5)(images.relu()))


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
    ],
)
def test_a_fused_network_trains_like_the_plain_one(overrides: tuple[str, ...]) -> None:
    """Like it in double precision, that is: in single precision torch's own sums are off by a thousand times more."""
    _, plan = validate(ask(*QUICK, "model.dropout=0.2", *overrides).config).require()
    torch.manual_seed(2)
    plain = build_plan(plan).to(memory_format=torch.channels_last)
    other = copy.deepcopy(plain)
    plain.double()
    quick = fused(other, CPU)
    pixels, labels = torch.rand(32, *plan.input_shape), torch.randint(10, (32,))
    for network, forward in ((plain, plain), (other, quick)):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        torch.manual_seed(4)
        network.train()
        images = pixels.to(next(network.parameters()).dtype)
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.cross_entropy(forward(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for expected, found in zip(plain.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(found.double(), expected.double(), rtol=1e-4, atol=1e-5)


def test_only_what_gains_is_fused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Dropout2d(0.1), nn.Flatten())
    kinds = [type(layer) for layer in fused(network, CPU).children()]
    assert kinds == [nn.Conv2d, FusedNorm, nn.Flatten]
    assert fused(network, torch.device("cuda")) is network
    without = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2, affine=False))
    assert fused(without, CPU) is without
    precise = copy.deepcopy(network).double()
    assert fused(precise, CPU) is precise
    torch.set_num_threads(3)
    assert fused(network, CPU) is network
