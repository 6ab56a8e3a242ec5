"""Members of a stack compute what they would compute alone, and do not see each other."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archsearch.data.batches import ImageSet
from archsearch.data.load import Dataset
from archsearch.errors import NonFiniteLossError
from archsearch.model.builder import build_plan
from archsearch.runs.prepare import PreparedRun
from archsearch.training import setup
from archsearch.training.cuda_graphs import GraphedStep, Step
from archsearch.training.metrics import EpochMetrics
from archsearch.training.stacked import trainer as stacked_trainer
from archsearch.training.stacked.setup import make_stacked_trainer
from archsearch.training.stacked.states import member_state
from archsearch.training.stacked.trainer import MemberMetrics, StackedTrainer
from archsearch.training.trainer import Evaluation, Trainer
from tests.support.graph_recorder import Pretender
from tests.support.stacks import CPU, experiment


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is computed in float64, so that what is equal is equal to ten digits."""
    prepared = ImageSet._prepare
    monkeypatch.setattr(ImageSet, "_prepare", lambda *arguments: prepared(*arguments).double())
    monkeypatch.setattr(setup, "build_plan", lambda plan: build_plan(plan).double())
    monkeypatch.setattr(Tensor, "float", lambda self: self)


def alone(experiments: list[PreparedRun], data: Dataset) -> tuple[list[Trainer], list[list[EpochMetrics]]]:
    trainers = [setup.make_trainer(one.settings, one.plan, data, CPU) for one in experiments]
    return trainers, [list(trainer.run()) for trainer in trainers]


def together(experiments: list[PreparedRun], data: Dataset) -> tuple[StackedTrainer, list[list[MemberMetrics]]]:
    stack = make_stacked_trainer(experiments, data, CPU)
    return stack, [list(history) for history in zip(*stack.run(), strict=True)]


def numbers(history: list[Any]) -> list[dict[str, float]]:
    assert all(isinstance(metrics, EpochMetrics) for metrics in history), history
    return [metrics.numbers() for metrics in history]


def assert_same(found: list[list[Any]], expected: list[list[Any]], rel: float = 1e-7) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        for left, right in zip(numbers(mine), numbers(theirs), strict=True):
            assert left == pytest.approx(right, rel=rel, abs=1e-9)


SGDS = [
    ("seed=1",),
    ("seed=2", "optimizer.lr=0.05", "optimizer.weight_decay=0.001", "optimizer.norm_lr_factor=2"),
    ("seed=3", "trainer.label_smoothing=0.125", "optimizer.bias_lr_factor=4"),
    ("seed=4",),
]
ADAMS = [("seed=1",), ("seed=2", "optimizer.lr=0.003", "optimizer.betas=[0.8,0.99]"), ("seed=2",)]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("common", "variants"),
    [
        (["scheduler=one_cycle", "trainer.test_every_epoch=true"], SGDS),
        (["scheduler=multistep", "scheduler.milestones=[1]", "optimizer.nesterov=false"], [*SGDS, SGDS[1]]),
        (["optimizer=adamw", "scheduler=cosine", "averaging=ema"], ADAMS),
        (["optimizer=adam", "averaging=lookahead", "init.first_conv=whitening"], ADAMS),
        (["model=session4_gap", "model.dropout=0", "trainer.channels_last=false"], SGDS[:2]),
        (["model=session4_conv_head", "model.dropout=0", "+model.norm=group", "+model.norm_groups=2"], SGDS[:2]),
    ],
)
def test_members_learn_what_they_would_learn_alone(
    few: Dataset, common: list[str], variants: list[tuple[str, ...]]
) -> None:
    """Loss by loss, weight by weight, answer by answer, in float64."""
    experiments = [experiment(*common, *own) for own in variants]
    trainers, expected = alone(experiments, few)
    stack, found = together(experiments, few)
    assert_same(found, expected)
    for number, (trainer, answers) in enumerate(zip(trainers, stack.evaluate(stack.splits.test), strict=True)):
        mine, theirs = stack.member(number).state_dict(), trainer.trained.state_dict()
        assert list(mine) == list(theirs)
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
        expected_answers = trainer.evaluate(trainer.splits.test)
        assert isinstance(answers, Evaluation)
        assert answers.score.correct == expected_answers.score.correct
        assert torch.equal(answers.predictions, expected_answers.predictions)
        torch.testing.assert_close(answers.confidences, expected_answers.confidences)


def test_in_single_precision_the_first_steps_agree(few: Dataset) -> None:
    experiments = [
        experiment("trainer.epochs=1", "trainer.fused=false", "optimizer.lr=0.01", f"seed={seed}") for seed in (1, 2)
    ]
    _, expected = alone(experiments, few)
    _, found = together(experiments, few)
    for mine, theirs in zip(found, expected, strict=True):
        assert numbers(mine)[0]["train/loss"] == pytest.approx(numbers(theirs)[0]["train/loss"], rel=1e-4)


@pytest.mark.usefixtures("double")
def test_a_stack_of_one_draws_what_a_run_alone_draws(few: Dataset) -> None:
    one = [experiment("model.dropout=0.2", "+model.head.dropout=0.3", "augment=affine")]
    assert_same(together(one, few)[1], alone(one, few)[1])


@pytest.mark.usefixtures("double")
def test_it_continues_to_the_same_numbers(few: Dataset) -> None:
    experiments = [
        experiment("trainer.epochs=3", "averaging=ema", "model.dropout=0.1", *own)
        for own in (("seed=1",), ("seed=2", "optimizer.lr=0.05", "model.dropout=0.3"))
    ]
    _, whole = together(experiments, few)
    begun = make_stacked_trainer(experiments, few, CPU)
    first = next(begun.run())
    resumed = make_stacked_trainer(experiments, few, CPU)
    resumed.load_state_dict(begun.state_dict())
    assert_same([list(each) for each in zip(first, *resumed.run(), strict=True)], whole)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "common",
    [
        ("averaging=ema",),
        ("scheduler=cosine", "averaging=lookahead"),
        ("scheduler=multistep", "scheduler.milestones=[1]"),
        ("optimizer=adam", "optimizer.lr=0.01"),
    ],
)
def test_each_member_can_go_on_alone(few: Dataset, tmp_path: Path, common: tuple[str, ...]) -> None:
    own = (
        ("seed=1", "optimizer.norm_lr_factor=2"),
        ("seed=2", "optimizer.lr=0.05"),
        ("seed=3", "optimizer.norm_lr_factor=2"),
        ("seed=4", "optimizer.norm_lr_factor=2"),
    )
    experiments = [experiment("trainer.epochs=3", *common, *each) for each in own]
    _, whole = alone(experiments, few)
    stack = make_stacked_trainer(experiments, few, CPU)
    first = next(stack.run())
    for number, one in enumerate(experiments):
        torch.save(member_state(stack, number), tmp_path / "state.pt")
        trainer = setup.make_trainer(one.settings, one.plan, few, CPU)
        trainer.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        assert_same([[first[number], *trainer.run()]], [whole[number]])


def test_a_recorded_step_changes_no_number(few: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """With dropout, augmentation and a short last batch: recording leaves no trace in any of them."""
    overrides = ("model.dropout=0.1", "augment=affine", "averaging=ema")
    experiments = [experiment(*overrides, "seed=1"), experiment(*overrides, "seed=2", "trainer.label_smoothing=0.1")]
    stack, expected = together(experiments, few)
    recorders: list[Pretender] = []

    def recorded(step: Step, changes: Iterable[Tensor], device: torch.device, *, wanted: bool) -> Step:
        recorders.append(Pretender())
        return GraphedStep(step, changes, recorders[-1])

    monkeypatch.setattr(stacked_trainer, "graphed", recorded)
    again, found = together(experiments, few)
    assert [numbers(history) for history in found] == [numbers(history) for history in expected]
    torch.testing.assert_close(again.network.state_dict(), stack.network.state_dict(), rtol=0, atol=0)
    assert recorders[0].calls.count("replay") == 4  # of six steps, two are shorter


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.usefixtures("double")
def test_on_a_gpu_recorded_steps_learn_the_same(few: Dataset) -> None:
    experiments = [experiment(*own) for own in SGDS]
    device = torch.device("cuda")
    found, expected = (
        [list(each) for each in zip(*make_stacked_trainer(experiments, few, device, graphs=graphs).run(), strict=True)]
        for graphs in (True, False)
    )
    assert_same(found, expected)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_member_that_diverges_fails_alone(few: Dataset, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    wild = ("optimizer.lr=1e150", "seed=9")
    tame = ("optimizer.lr=0.05", "seed=1")
    experiments = [experiment("scheduler=constant", *own) for own in (tame, wild, (*tame, "seed=2"))]
    expected = [
        list(setup.make_trainer(each.settings, each.plan, few, torch.device(device)).run())
        for each in (experiments[0], experiments[2])
    ]
    stack = make_stacked_trainer(experiments, few, torch.device(device))
    seen: list[list[Any]] = []
    first, failed, last = (list(history) for history in zip(*stack.run(seen.append), strict=True))
    assert_same([first, last], expected)
    assert len(failed) == 2
    for error in (*failed, seen[-1][1], stack.evaluate(stack.splits.test)[1]):
        assert isinstance(error, NonFiniteLossError)
        assert str(error).startswith("the training loss became nan in epoch 1")
    assert seen[-1][0].finished and seen[-1][0].score == first[-1].train
    other = make_stacked_trainer(experiments, few, torch.device(device))
    other.load_state_dict(stack.state_dict())
    assert set(other.failures) == {1}


def test_a_stack_in_which_all_have_failed_ends(few: Dataset) -> None:
    experiments = [experiment("optimizer.lr=1e18", "scheduler=constant", f"seed={seed}") for seed in (1, 2)]
    (epoch,) = make_stacked_trainer(experiments, few, CPU).run()
    assert [type(error) for error in epoch] == [NonFiniteLossError] * 2


def test_with_dropout_and_augmentation_members_learn_as_well_as_alone(digits: Dataset) -> None:
    """By the mean accuracy of three seeds; of so short a run it varies by some points."""
    overrides = ("trainer.epochs=3", "model.dropout=0.05", "augment=affine", "data.validation=250")
    experiments = [experiment(*overrides, f"seed={n}", f"+model.blocks.conv2.dropout={0.05 * n}") for n in (1, 2, 3)]
    accuracies = []
    for histories in (alone(experiments, digits)[1], together(experiments, digits)[1]):
        last = [history[-1] for history in histories]
        assert all(isinstance(metrics, EpochMetrics) for metrics in last)
        accuracies.append([m.validation.accuracy for m in last if isinstance(m, EpochMetrics) and m.validation])
    solo, stacked = (statistics.mean(values) for values in accuracies)
    assert min(accuracies[1]) > 75 and abs(solo - stacked) < 6
