"""Accuracy by class, and the weights of classes."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from archsearch.data.load import Dataset
from archsearch.training.classes import accuracy_by_class, balanced_weights
from archsearch.training.metrics import EpochMetrics, Score
from archsearch.training.stacked.scores import member_losses
from archsearch.training.stacked.setup import make_stacked_trainer
from tests.support.training import CPU, FEW, assert_close, member, trainer_of

LABELS = np.random.default_rng(0).choice(5, 200, p=[0.5, 0.3, 0.1, 0.07, 0.03])


def test_balanced_accuracy_is_scikit_learns() -> None:
    predictions = np.where(np.random.default_rng(1).random(200) < 0.7, LABELS, 0)
    by_class = accuracy_by_class(torch.from_numpy(LABELS), torch.from_numpy(predictions), 6)
    score = Score(0.1, int((predictions == LABELS).sum()), 200, by_class)
    assert by_class[5] is None  # it has no image
    assert score.balanced_accuracy == pytest.approx(100 * balanced_accuracy_score(LABELS, predictions))
    assert (
        EpochMetrics(1, score, score, None, 0.1, 1.0, 0).numbers()["val/balanced_accuracy"] == score.balanced_accuracy
    )


def test_balanced_weights_are_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(5), y=LABELS)
    np.testing.assert_allclose(balanced_weights(np.bincount(LABELS).tolist()), expected, rtol=1e-6)
    assert balanced_weights([4, 0, 4]).tolist() == [1, 0, 1]


def test_weighted_losses_of_members_are_torchs() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(3, 16, 5), torch.randint(5, (3, 16)), torch.rand(5)
    smoothing = torch.tensor([0.0, 0.1, 0.3])
    expected = [
        functional.cross_entropy(logits[k], labels[k], weight=weights, label_smoothing=float(smoothing[k]))
        for k in range(3)
    ]
    torch.testing.assert_close(member_losses(logits, labels, smoothing, weights), torch.stack(expected))


def unbalanced(few: Dataset) -> Dataset:
    """With a few images of the classes 0 to 8, and the rest of class 9."""
    labels = few.train_labels.copy()
    labels[20:] = 9
    return Dataset(few.info, few.train_images, labels, few.test_images, few.test_labels)


def test_class_weights_change_what_is_learned_alike_alone_and_in_a_stack(few: Dataset) -> None:
    data = unbalanced(few)
    overrides = (*FEW, "model.dropout=0", "trainer.fused=false")
    weights = "trainer.class_weights=balanced"
    plain = list(trainer_of(data, *overrides).run())
    weighted = list(trainer_of(data, *overrides, weights).run())
    assert weighted[-1].train.loss != pytest.approx(plain[-1].train.loss, rel=1e-3)
    stack = make_stacked_trainer([member(weights), member(weights, "seed=5")], data, CPU)
    assert_close([metrics[0] for metrics in stack.run()], weighted, rel=1e-3)
    evaluation = stack.evaluate(stack.splits.test)[1]
    assert not isinstance(evaluation, Exception) and evaluation.score.by_class is not None
