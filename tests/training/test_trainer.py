"""The training loop of one network."""

import pytest
import torch
from torch.nn import functional

from archsearch.data.load import Dataset
from archsearch.errors import NonFiniteLossError
from archsearch.training.loop import seed_epoch
from archsearch.training.trainer import EpochProgress, Trainer
from tests.support.graph_recorder import FakeGraphRecorder
from tests.support.training import FEW, assert_close, numbers, trainer_of


def test_training_improves_loss_and_accuracy(digits: Dataset) -> None:
    first, *_, last = trainer_of(digits, "trainer.epochs=5", "data.validation=250").run()
    assert last.validation is not None
    assert last.validation.accuracy > 90 > first.train.accuracy
    assert last.train.loss < first.train.loss


def test_scores_count_the_images_of_their_split(few: Dataset) -> None:
    metrics = next(trainer_of(few, *FEW).run())
    assert metrics.validation is not None
    assert (metrics.train.total, metrics.validation.total) == (70, 20)


RANDOM = ("model.dropout=0.2", "augment=affine")
MIXED = ("augment=[flip,cutout,mixup,cutmix]", "augment.flip.alternating=true", "augment.cutout.size=4")


@pytest.mark.parametrize("overrides", [(), RANDOM, MIXED, ("optimizer=adamw", "optimizer.lr=0.01")])
def test_the_same_seed_gives_the_same_numbers(few: Dataset, overrides: tuple[str, ...]) -> None:
    first, second = (numbers(list(trainer_of(few, *FEW, *overrides).run())) for _ in range(2))
    assert first == second


def test_another_seed_gives_other_numbers(few: Dataset) -> None:
    first, second = (numbers(list(trainer_of(few, *FEW, f"seed={seed}").run())) for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize(
    "recipe",
    [
        ("scheduler=constant",),
        ("scheduler=multistep",),
        ("scheduler=cosine",),
        ("scheduler=one_cycle",),
        ("averaging=ema",),
        ("averaging=lookahead",),
        ("optimizer.bias_lr_factor=4",),
        ("optimizer=adamw",),
        MIXED,
    ],
)
def test_an_interrupted_run_resumes_to_the_same_numbers(few: Dataset, recipe: tuple[str, ...]) -> None:
    overrides = (*FEW, "trainer.epochs=3", *RANDOM, *recipe)
    uninterrupted = list(trainer_of(few, *overrides).run())
    interrupted = trainer_of(few, *overrides)
    first = next(interrupted.run())
    state = interrupted.state_dict()
    torch.manual_seed(99)  # other use of the generators must not matter
    resumed = trainer_of(few, *overrides)
    resumed.load_state_dict(state)
    assert numbers([first, *resumed.run()]) == numbers(uninterrupted)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_training_equals_a_plain_pytorch_loop(few: Dataset, smoothing: float) -> None:
    overrides = (
        *FEW,
        "trainer.epochs=1",
        "scheduler=constant",
        "optimizer.lr=0.05",
        "trainer.channels_last=false",
        f"trainer.label_smoothing={smoothing}",
    )
    trainer = trainer_of(few, *overrides)
    network = trainer_of(few, *overrides).network.train()  # not trained by its trainer
    (metrics,) = trainer.run()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    order = torch.Generator().manual_seed(seed_epoch([1], 1))
    total = 0.0
    for images, labels in trainer.splits.train.shuffled(32, order):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images), labels, label_smoothing=smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item() * len(labels)
    torch.testing.assert_close(list(trainer.network.parameters()), list(network.parameters()))
    assert metrics.train.loss == pytest.approx(total / 70)


@pytest.fixture(scope="module")
def trained(few: Dataset) -> Trainer:
    trainer = trainer_of(few, *FEW, "model.dropout=0.5", "trainer.label_smoothing=0.2")
    list(trainer.run())
    return trainer


def test_evaluation_equals_the_network_in_eval_mode(trained: Trainer) -> None:
    evaluation = trained.evaluate(trained.splits.test)
    images, labels = next(trained.splits.test.in_order(50))
    with torch.no_grad():
        logits = trained.network.eval()(images)
    assert evaluation.score.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert evaluation.score.correct == (logits.argmax(1) == labels).sum()
    assert evaluation.predictions.tolist() == logits.argmax(1).tolist()
    torch.testing.assert_close(evaluation.confidences, logits.softmax(1).amax(1))


@pytest.mark.parametrize("averaging", ["ema", "lookahead"])
def test_averaged_weights_are_evaluated(few: Dataset, averaging: str) -> None:
    trainer = trainer_of(few, *FEW, f"averaging={averaging}", "averaging.every=4")
    list(trainer.run())
    evaluation = trainer.evaluate(trainer.splits.test)
    images, _ = next(trainer.splits.test.in_order(50))
    with torch.no_grad():
        averaged, last = (network.eval()(images) for network in (trainer.trained, trainer.network))
    torch.testing.assert_close(evaluation.confidences, averaged.softmax(1).amax(1))
    assert not torch.allclose(averaged, last)


@pytest.mark.parametrize("overrides", [(), MIXED, ("averaging=ema", *RANDOM, "trainer.label_smoothing=0.1")])
def test_recorded_steps_compute_the_same_numbers(few: Dataset, overrides: tuple[str, ...]) -> None:
    plain = trainer_of(few, *FEW, *overrides)
    history = numbers(list(plain.run()))
    recorder = FakeGraphRecorder()
    recorded = trainer_of(few, *FEW, *overrides, recorder=recorder)
    assert numbers(list(recorded.run())) == history
    torch.testing.assert_close(recorded.trained.state_dict(), plain.trained.state_dict(), rtol=0, atol=0)
    assert recorder.calls == ["warm up", "record"] + ["replay"] * 4  # two of six steps have a short batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.usefixtures("double_precision")
def test_cuda_graphs_compute_the_same_numbers(few: Dataset) -> None:
    device = torch.device("cuda")
    plain, graphed = (
        list(trainer_of(few, *FEW, f"trainer.cuda_graphs={switch}", device=device).run())
        for switch in ("false", "true")
    )
    assert_close(graphed, plain)


def test_a_non_finite_training_loss_stops_the_run(few: Dataset) -> None:
    trainer = trainer_of(few, *FEW, "optimizer.lr=1e18", "scheduler=constant", "optimizer.nesterov=false")
    with pytest.raises(NonFiniteLossError, match=r"the training loss became (nan|inf) in epoch 1"):
        list(trainer.run())


def first_loss(few: Dataset, *overrides: str) -> float:
    common = (*FEW, "optimizer.lr=0.01", "scheduler=constant", "trainer.fused=false")
    return next(trainer_of(few, *common, *overrides).run()).train.loss


@pytest.mark.usefixtures("double_precision")
def test_the_memory_layout_changes_the_loss_by_rounding_only(few: Dataset) -> None:
    assert first_loss(few, "trainer.channels_last=false") == pytest.approx(first_loss(few), rel=1e-9)


@pytest.mark.parametrize("fused", ["true", "false"])
def test_bfloat16_changes_the_loss_a_little(few: Dataset, fused: str) -> None:
    single, half = first_loss(few), first_loss(few, "trainer.precision=bfloat16", f"trainer.fused={fused}")
    assert half == pytest.approx(single, rel=0.05)
    assert half != single


def test_bfloat16_learns_within_somebody_elses_autocast(few: Dataset) -> None:
    """A cache of converted weights would outlive each step there, and nothing would be learned."""
    settings = (*FEW, "trainer.precision=bfloat16", "trainer.epochs=3")
    alone = [metrics.train.loss for metrics in trainer_of(few, *settings).run()]
    with torch.autocast("cpu", enabled=False):
        nested = [metrics.train.loss for metrics in trainer_of(few, *settings).run()]
    assert nested == alone and nested[-1] < nested[0]


def test_evaluation_is_in_float32(few: Dataset) -> None:
    trainer = trainer_of(few, *FEW, "trainer.precision=bfloat16")
    list(trainer.run())
    evaluation = trainer.evaluate(trainer.splits.test)
    images = next(trainer.splits.test.in_order(len(trainer.splits.test)))[0]
    with torch.no_grad():
        confidences = trainer.network.eval()(images).softmax(dim=-1).amax(dim=-1)
    torch.testing.assert_close(evaluation.confidences, confidences)


def test_the_test_set_is_not_evaluated_during_training_by_default(few: Dataset) -> None:
    assert [metrics.test for metrics in trainer_of(few, *FEW).run()] == [None, None]


def test_the_test_set_is_evaluated_after_each_epoch_on_request(few: Dataset) -> None:
    history = list(trainer_of(few, *FEW, "trainer.test_every_epoch=true").run())
    assert [metrics.test and metrics.test.total for metrics in history] == [50, 50]


def test_progress_is_reported_at_the_end_of_each_epoch(few: Dataset) -> None:
    reports: list[EpochProgress] = []
    history = list(trainer_of(few, *FEW).run(reports.append))
    last = [report for report in reports if report.finished]
    assert [report.score for report in last] == [metrics.train for metrics in history]
    assert all(report.score.total <= report.total == 70 for report in reports)
