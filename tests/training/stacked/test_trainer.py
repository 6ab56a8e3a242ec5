"""Members of a stack compute what they compute alone, and do not affect each other."""

import statistics
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from archsearch.data.load import Dataset
from archsearch.errors import NonFiniteLossError
from archsearch.training.metrics import EpochMetrics
from archsearch.training.stacked.setup import make_stacked_trainer
from archsearch.training.stacked.trainer import MemberMetrics, StackedTrainer
from archsearch.training.trainer import Evaluation, Trainer
from tests.support.graph_recorder import FakeGraphRecorder
from tests.support.training import CPU, STACKABLE, assert_close, member, numbers, trainer_of

Variants = Sequence[tuple[str, ...]]


def single_trainers(data: Dataset, *variants: tuple[str, ...], device: torch.device = CPU) -> list[Trainer]:
    return [trainer_of(data, *STACKABLE, *overrides, device=device) for overrides in variants]


def stack_of(data: Dataset, *variants: tuple[str, ...], device: torch.device = CPU, **options: Any) -> StackedTrainer:
    return make_stacked_trainer([member(*overrides) for overrides in variants], data, device, **options)


def train(stack: StackedTrainer) -> list[list[MemberMetrics]]:
    """Each member's history."""
    return [list(history) for history in zip(*stack.run(), strict=True)]


SGDS = [
    ("seed=1",),
    ("seed=2", "optimizer.lr=0.05", "optimizer.weight_decay=0.001", "optimizer.norm_lr_factor=2"),
    ("seed=3", "trainer.label_smoothing=0.125", "optimizer.bias_lr_factor=4"),
    ("seed=4",),
]
ADAMS = [("seed=1",), ("seed=2", "optimizer.lr=0.003", "optimizer.betas=[0.8,0.99]"), ("seed=2",)]


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(
    ("common", "variants"),
    [
        (["scheduler=one_cycle", "trainer.test_every_epoch=true"], SGDS),
        (["scheduler=multistep", "scheduler.milestones=[1]", "optimizer.nesterov=false"], [*SGDS, SGDS[1]]),
        (["optimizer=adamw", "scheduler=cosine", "averaging=ema"], ADAMS),
        (["optimizer=adam", "averaging=lookahead", "init.first_conv=whitening"], ADAMS),
        (["augment=flip", "augment.flip.alternating=true"], SGDS[:3]),
        (["model=session4_gap", "model.dropout=0", "trainer.channels_last=false"], SGDS[:2]),
        (["model=session4_conv_head", "model.dropout=0", "+model.norm=group", "+model.norm_groups=2"], SGDS[:2]),
    ],
)
def test_members_compute_what_they_compute_alone(few: Dataset, common: list[str], variants: Variants) -> None:
    """In losses, accuracies, weights and predictions."""
    variants = [(*common, *overrides) for overrides in variants]
    trainers, stack = single_trainers(few, *variants), stack_of(few, *variants)
    for history, trainer in zip(train(stack), trainers, strict=True):
        assert_close(history, list(trainer.run()))
    for number, (trainer, evaluation) in enumerate(zip(trainers, stack.evaluate(stack.splits.test), strict=True)):
        weights, expected_weights = stack.member(number).state_dict(), trainer.trained.state_dict()
        assert list(weights) == list(expected_weights)
        torch.testing.assert_close(weights, expected_weights, rtol=1e-6, atol=1e-8)
        expected = trainer.evaluate(trainer.splits.test)
        assert isinstance(evaluation, Evaluation)
        assert evaluation.score.correct == expected.score.correct
        assert torch.equal(evaluation.predictions, expected.predictions)
        torch.testing.assert_close(evaluation.confidences, expected.confidences)


def test_in_single_precision_the_first_steps_agree(few: Dataset) -> None:
    common = ("trainer.epochs=1", "trainer.fused=false", "optimizer.lr=0.01")
    variants = [(*common, f"seed={seed}") for seed in (1, 2)]
    for history, trainer in zip(train(stack_of(few, *variants)), single_trainers(few, *variants), strict=True):
        (epoch,), (expected,) = numbers(history), numbers(list(trainer.run()))
        assert epoch["train/loss"] == pytest.approx(expected["train/loss"], rel=1e-4)


@pytest.mark.usefixtures("double_precision")
def test_a_stack_of_one_draws_the_random_numbers_of_a_single_run(few: Dataset) -> None:
    variant = ("model.dropout=0.2", "+model.head.dropout=0.3", "augment=affine")
    (history,), (trainer,) = train(stack_of(few, variant)), single_trainers(few, variant)
    assert_close(history, list(trainer.run()))


def test_dropout_depends_on_the_seeds_of_all_members(few: Dataset) -> None:
    histories = [
        train(stack_of(few, ("model.dropout=0.2", f"seed={other}"), ("model.dropout=0.2", "seed=2")))[1]
        for other in (1, 3)
    ]
    assert numbers(histories[0]) != numbers(histories[1])


@pytest.mark.usefixtures("double_precision")
def test_an_interrupted_stack_resumes_to_the_same_numbers(few: Dataset) -> None:
    common = ("trainer.epochs=3", "averaging=ema")
    variants = [
        (*common, "seed=1", "model.dropout=0.1"),
        (*common, "seed=2", "model.dropout=0.3", "optimizer.lr=0.05"),
    ]
    uninterrupted = train(stack_of(few, *variants))
    interrupted, resumed = stack_of(few, *variants), stack_of(few, *variants)
    first = next(interrupted.run())
    resumed.load_state_dict(interrupted.state_dict())
    for history, expected in zip(zip(first, *resumed.run(), strict=True), uninterrupted, strict=True):
        assert_close(history, expected)


def test_recorded_steps_compute_the_same_numbers(few: Dataset) -> None:
    common = ("model.dropout=0.1", "augment=affine", "averaging=ema")
    variants = [(*common, "seed=1"), (*common, "seed=2", "trainer.label_smoothing=0.1")]
    recorder = FakeGraphRecorder()
    plain, recorded = stack_of(few, *variants), stack_of(few, *variants, recorder=recorder)
    expected = train(plain)
    assert [numbers(history) for history in train(recorded)] == [numbers(history) for history in expected]
    torch.testing.assert_close(recorded.network.state_dict(), plain.network.state_dict(), rtol=0, atol=0)
    assert recorder.calls.count("replay") == 4  # two of six steps have a short batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.usefixtures("double_precision")
def test_cuda_graphs_compute_the_same_numbers(few: Dataset) -> None:
    plain, graphed = (
        train(stack_of(few, *SGDS, device=torch.device("cuda"), graphs=graphs)) for graphs in (False, True)
    )
    for history, expected in zip(graphed, plain, strict=True):
        assert_close(history, expected)


def fill_with_nan(stack: StackedTrainer, number: int) -> None:
    """Give member `number` weights with which its loss is NaN from the first step."""
    with torch.no_grad():
        for parameter in stack.network.parameters():
            stack.network.part(parameter, number, number + 1).fill_(torch.nan)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")),
    ],
)
def test_a_diverging_member_does_not_affect_the_others(few: Dataset, device: str) -> None:
    stack = stack_of(few, ("seed=1",), ("seed=2",), ("seed=3",), device=torch.device(device))
    fill_with_nan(stack, 1)
    first, _, last = train(stack)
    trainers = single_trainers(few, ("seed=1",), ("seed=3",), device=torch.device(device))
    for history, trainer in zip((first, last), trainers, strict=True):
        assert_close(history, list(trainer.run()))


Divergence = tuple[StackedTrainer, list[MemberMetrics], list[list[Any]]]


@pytest.fixture(scope="module")
def divergence(few: Dataset) -> Divergence:
    """A stack whose member 1 has diverged, that member's history, and all reports of progress."""
    stack = stack_of(few, ("seed=1",), ("seed=2",))
    fill_with_nan(stack, 1)
    reports: list[list[Any]] = []
    history = [epoch[1] for epoch in stack.run(reports.append)]
    return stack, history, reports


def test_a_diverged_member_gives_its_failure_everywhere(divergence: Divergence) -> None:
    stack, history, reports = divergence
    evaluation = stack.evaluate(stack.splits.test)[1]
    assert len(history) == 2
    for failure in (*history, reports[-1][1], evaluation):
        assert isinstance(failure, NonFiniteLossError)
        assert str(failure).startswith("the training loss became nan in epoch 1")


def test_failures_are_part_of_the_state(few: Dataset, divergence: Divergence) -> None:
    resumed = stack_of(few, ("seed=1",), ("seed=2",))
    resumed.load_state_dict(divergence[0].state_dict())
    assert set(resumed.failures) == {1}


def test_training_ends_early_if_all_members_have_failed(few: Dataset) -> None:
    variants = [("optimizer.lr=1e18", "scheduler=constant", f"seed={seed}") for seed in (1, 2)]
    (epoch,) = stack_of(few, *variants).run()
    assert [type(failure) for failure in epoch] == [NonFiniteLossError] * 2


def test_progress_is_reported_at_the_end_of_each_epoch(few: Dataset) -> None:
    stack, reports = stack_of(few, ("seed=1",), ("seed=2",)), list[list[Any]]()
    history = list(stack.run(reports.append))
    last = [report for report in reports if report[0].finished]
    assert [[progress.score for progress in report] for report in last] == [
        [metrics.train for metrics in epoch if isinstance(metrics, EpochMetrics)] for epoch in history
    ]


@pytest.mark.slow
def test_with_dropout_and_augmentation_members_learn_as_well_as_alone(digits: Dataset) -> None:
    """By the mean accuracy of two seeds; after so few epochs it varies by some points."""
    common = ("trainer.epochs=3", "model.dropout=0.05", "augment=affine", "data.validation=250")
    variants = [(*common, f"seed={n}", f"+model.blocks.conv2.dropout={0.05 * n}") for n in (1, 2)]

    def accuracies(histories: Sequence[Sequence[object]]) -> list[float]:
        return [numbers(history)[-1]["val/accuracy"] for history in histories]

    single = accuracies([list(trainer.run()) for trainer in single_trainers(digits, *variants)])
    stacked = accuracies(train(stack_of(digits, *variants)))
    assert min(stacked) > 75
    assert abs(statistics.mean(single) - statistics.mean(stacked)) < 6
