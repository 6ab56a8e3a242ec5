"""Inference in bfloat16."""

import copy

import pytest
import torch
from torch import nn

from archsearch.data.load import Dataset
from archsearch.training.bfloat16_inference import in_bfloat16
from archsearch.training.folding import folded
from archsearch.training.trainer import Trainer
from tests.support.drawn import trained
from tests.support.models import lower
from tests.support.requests import session4
from tests.support.training import trainer_of


def bfloat16_trainer(digits: Dataset, *overrides: str) -> Trainer:
    trainer = trainer_of(digits, "trainer.precision=bfloat16", "data.validation=500", "trainer.epochs=1", *overrides)
    list(trainer.run())
    return trainer


def test_predictions_are_those_of_float32_and_losses_are_rounded(digits: Dataset) -> None:
    trainer = bfloat16_trainer(digits)
    validation = trainer.splits.validation
    assert validation is not None
    exact, rounded = trainer.evaluate(validation), trainer.evaluate(validation, rounded=True)
    torch.testing.assert_close(rounded.predictions, exact.predictions, rtol=0, atol=0)
    assert rounded.score.accuracy == exact.score.accuracy
    assert 0 < abs(rounded.score.loss / exact.score.loss - 1) < 0.01


def test_images_with_close_logits_are_computed_in_float32() -> None:
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False))
    network[1].weight = nn.Parameter(weight)
    # 1.001 and 1.003 are the same number in bfloat16: only float32 sees which is larger.
    images = torch.tensor([[1.001, 1.003], [1.003, 1.001], [1.001, 0.2]]).reshape(3, 2, 1, 1)
    with torch.inference_mode():
        logits = in_bfloat16(network)(images)
    assert logits.argmax(dim=1).tolist() == [1, 0, 0]
    torch.testing.assert_close(logits[:2], images[:2].flatten(1) @ weight.T)
    assert logits[2, 0] == 1.0


def test_a_network_with_norms_stays_in_float32() -> None:
    network = folded(trained(lower(session4(conv2={"padding": 1}))))
    assert in_bfloat16(network) is network


def test_branches_are_computed_in_bfloat16() -> None:
    conv = {"channels": 4, "padding": "same", "norm": "none"}
    blocks = {"stem": conv, "block": {"type": "residual", "body": {"conv": conv}, "norm": "none"}}
    network = folded(trained(lower({"blocks": blocks, "head": {"type": "gap"}})))
    assert in_bfloat16(network) is not network


@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, padding=1),
        nn.MaxPool2d(3, stride=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(6, 8), (7, 9)], ids=str)
def test_layers_compute_what_those_of_torch_compute(layer: nn.Module, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    images = torch.randn(200, 12, *size).contiguous(memory_format=torch.channels_last)
    network = nn.Sequential(nn.Conv2d(12, 12, 1), layer, nn.Flatten(), nn.LazyLinear(10))
    with torch.inference_mode():
        exact = network(images)
        rounded = copy.deepcopy(network).bfloat16()(images.bfloat16()).float()
        logits = in_bfloat16(network)(images)
    is_rounded = (logits == rounded).all(dim=1)
    assert is_rounded.sum() > 100
    torch.testing.assert_close(logits[~is_rounded], exact[~is_rounded])  # those with close logits


@pytest.mark.parametrize("weight", [-torch.nan, 1e20])
def test_what_is_not_finite_in_float32_is_not_finite(weight: float) -> None:
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    layers = [nn.Linear(2, 2, bias=False) for _ in range(3)]
    for layer in layers:
        layer.weight = nn.Parameter(weight * signs)  # in bfloat16, inf - inf is nan with a sign
    network = nn.Sequential(nn.Flatten(), layers[0], layers[1], nn.ReLU(), layers[2])
    images = torch.ones(3, 2, 1, 1)
    with torch.inference_mode():
        logits, exact = in_bfloat16(network)(images), network(images)
    assert not exact.isfinite().any()
    torch.testing.assert_close(logits, exact, equal_nan=True)


def test_a_network_with_hooks_stays_in_float32() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3), nn.ReLU())
    network[2].register_forward_hook(lambda module, inputs, outputs: outputs + 1)
    assert in_bfloat16(network) is network


class _Counted(nn.Linear):
    """Notes the sizes of its batches in float32."""

    def __init__(self) -> None:
        super().__init__(2, 3)
        self.weight = nn.Parameter(torch.ones(3, 2))  # so that all logits are close
        self.bias = nn.Parameter(torch.zeros(3))
        self.sizes: list[int] = []

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if values.dtype == torch.float32:
            self.sizes.append(len(values))
        return super().forward(values)


def test_close_images_are_computed_16_at_a_time_if_there_are_as_many() -> None:
    layer = _Counted()
    with torch.inference_mode():
        rounded = in_bfloat16(nn.Sequential(nn.Flatten(), layer))
        rounded(torch.ones(4, 2, 1, 1))
        rounded(torch.ones(40, 2, 1, 1))
    assert layer.sizes == [1, 4, 16, 16, 16]  # the first call is for the largest pixel
