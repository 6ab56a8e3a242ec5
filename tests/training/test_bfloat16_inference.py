"""Inference in bfloat16."""

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
