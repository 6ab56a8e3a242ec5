"""The loop: it learns, it repeats itself, it goes on where it stopped, and it stops when the loss is no number."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from archsearch.compose.validate import validate
from archsearch.data.augment import make_augment
from archsearch.data.batches import ImageSet
from archsearch.data.info import DATASETS
from archsearch.data.load import Dataset, load, stratified_holdout
from archsearch.errors import NonFiniteLossError, UserError
from archsearch.model.builder import build_plan
from archsearch.training import trainer as trainer_module
from archsearch.training.cuda_graphs import GraphedStep
from archsearch.training.device import pick_device
from archsearch.training.metrics import EpochMetrics, Score, best_epoch
from archsearch.training.trainer import EpochProgress, Splits, Trainer, seed_epoch
from tests.support.graph_recorder import Pretender
from tests.support.requests import QUICK, ask


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DATASETS["digits"], Path("unused"))


def trainer(digits: Dataset, *overrides: str) -> Trainer:
    settings, network = validate(ask(*QUICK, *overrides).config).require()
    kept, held_out = stratified_holdout(digits.train_labels, 250, 0)
    device = torch.device("cpu")

    def put(images: Any, labels: Any) -> ImageSet:
        return ImageSet.of(digits.info, images, labels, device, settings.trainer.channels_last)

    splits = Splits(
        put(digits.train_images[kept], digits.train_labels[kept]),
        put(digits.train_images[held_out], digits.train_labels[held_out]),
        put(digits.test_images, digits.test_labels),
    )
    torch.manual_seed(settings.seed)
    return Trainer(
        build_plan(network),
        splits,
        settings.trainer,
        settings.optimizer,
        settings.scheduler,
        seed=settings.seed,
        device=device,
        augment=make_augment(settings.augment),
        averaging=settings.averaging,
    )


def numbers(history: list[EpochMetrics]) -> list[dict[str, float]]:
    return [metrics.numbers() for metrics in history]


def test_it_learns(digits: Dataset) -> None:
    first, *_, last = trainer(digits, "trainer.epochs=5").run()
    assert last.validation is not None and last.validation.accuracy > 90 > first.train.accuracy
    assert last.train.loss < first.train.loss and last.train.total == 1250 and last.validation.total == 250


@pytest.mark.parametrize(
    "overrides", [(), ("model.dropout=0.2", "augment=affine"), ("optimizer=adamw", "optimizer.lr=0.01")]
)
def test_same_seed_same_numbers_other_seed_other_numbers(digits: Dataset, overrides: tuple[str, ...]) -> None:
    runs = [numbers(list(trainer(digits, *overrides, f"seed={seed}").run())) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    "chosen",
    [
        "scheduler=constant",
        "scheduler=multistep",
        "scheduler=cosine",
        "scheduler=one_cycle",
        "averaging=ema",
        "averaging=lookahead",
        "optimizer.bias_lr_factor=4",
    ],
)
def test_it_continues_to_the_same_numbers(digits: Dataset, chosen: str) -> None:
    overrides = ("trainer.epochs=3", chosen, "model.dropout=0.1", "augment=affine")
    whole = list(trainer(digits, *overrides).run())
    interrupted = trainer(digits, *overrides)
    running = interrupted.run()
    begun = [next(running)]
    state = interrupted.state_dict()
    torch.manual_seed(99)  # whatever else happened to the generators meanwhile
    resumed = trainer(digits, *overrides)
    resumed.load_state_dict(state)
    assert numbers(begun + list(resumed.run())) == numbers(whole)


def test_weights_equal_a_plain_pytorch_loop(digits: Dataset) -> None:
    """One epoch of ours against the loop that anyone would write, with the same order of images."""
    ours = trainer(digits, "trainer.epochs=1", "scheduler=constant", "optimizer.lr=0.05", "trainer.channels_last=false")
    theirs = trainer(digits, "trainer.epochs=1", "scheduler=constant", "trainer.channels_last=false").network
    (metrics,) = ours.run()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    order = torch.Generator().manual_seed(seed_epoch(1, 1))
    theirs.train()
    total = 0.0
    for pixels, labels in ours.splits.train.shuffled(64, order):
        optimizer.zero_grad()
        loss = functional.cross_entropy(theirs(pixels), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item() * len(labels)
    for ours_weight, theirs_weight in zip(ours.network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours_weight, theirs_weight)
    assert metrics.train.loss == pytest.approx(total / 1250)


@pytest.mark.parametrize("averaging", ["ema", "lookahead"])
def test_averaged_weights_are_evaluated(digits: Dataset, averaging: str) -> None:
    some = trainer(digits, "trainer.epochs=1", f"averaging={averaging}", "averaging.every=3")
    list(some.run())
    found = some.evaluate(some.splits.test)
    pixels, _ = next(some.splits.test.in_order(297))
    with torch.no_grad():
        averaged, trained = (network.eval()(pixels) for network in (some.trained, some.network))
    torch.testing.assert_close(found.confidences, averaged.softmax(1).amax(1))
    assert not torch.allclose(averaged, trained)


def test_smoothed_labels_are_what_is_trained_on(digits: Dataset) -> None:
    """The loss of a network that is right beyond doubt: smoothing asks it for doubt."""
    plain, smooth = (
        list(trainer(digits, "trainer.epochs=3", f"trainer.label_smoothing={amount}").run())[-1] for amount in (0, 0.2)
    )
    assert smooth.validation is not None and plain.validation is not None
    assert smooth.train.loss > 0.8 and plain.train.loss < 0.4  # spread like this, labels have an entropy of 0.86
    assert smooth.validation.loss < 0.8  # which is not smoothed


@pytest.mark.parametrize("overrides", [(), ("averaging=ema", "augment=affine", "trainer.label_smoothing=0.1")])
def test_recorded_steps_learn_the_same(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    """What is recorded on a GPU, with a stand-in for it here; steps of the last, shorter batch are not replayed."""
    expected = trainer(digits, *overrides)
    history = numbers(list(expected.run()))
    pretender = Pretender()
    monkeypatch.setattr(trainer_module, "can_record", lambda device: True)
    monkeypatch.setattr(
        trainer_module, "graphed", lambda step, changed, device, *, wanted: GraphedStep(step, changed, pretender)
    )
    recorded = trainer(digits, "trainer.cuda_graphs=true", *overrides)
    assert numbers(list(recorded.run())) == history
    torch.testing.assert_close(recorded.trained.state_dict(), expected.trained.state_dict(), rtol=0, atol=0)
    assert pretender.calls.count("record") == 1 and pretender.calls.count("replay") > 1


def test_evaluation_is_that_of_the_network_in_eval_mode(digits: Dataset) -> None:
    some = trainer(digits, "trainer.epochs=1", "model.dropout=0.5", "trainer.eval_batch_size=100")
    list(some.run())
    found = some.evaluate(some.splits.test)
    some.network.eval()
    with torch.no_grad():
        pixels, labels = next(some.splits.test.in_order(297))
        logits = some.network(pixels)
    assert found.score.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert found.predictions.tolist() == logits.argmax(1).tolist()
    torch.testing.assert_close(found.confidences, logits.softmax(1).amax(1))
    assert found.score.correct == (logits.argmax(1) == labels).sum()


@pytest.mark.parametrize("overrides", [("optimizer.lr=1e18", "scheduler=constant", "optimizer.nesterov=false")])
def test_a_loss_that_is_no_number_stops_the_run(digits: Dataset, overrides: tuple[str, ...]) -> None:
    with pytest.raises(NonFiniteLossError, match=r"the training loss became (nan|inf) in epoch 1"):
        list(trainer(digits, *overrides).run())


@pytest.mark.parametrize("settings", ["trainer.precision=bfloat16", "trainer.channels_last=false"])
def test_other_number_formats_and_layouts_learn_too(digits: Dataset, settings: str) -> None:
    *_, last = trainer(digits, "trainer.epochs=5", settings).run()
    assert last.validation is not None and last.validation.accuracy > 90


def test_the_test_set_is_evaluated_each_epoch_only_when_asked(digits: Dataset) -> None:
    assert [m.test for m in trainer(digits).run()] == [None, None]
    assert all(
        m.test is not None and m.test.total == 297 for m in trainer(digits, "trainer.test_every_epoch=true").run()
    )


def test_a_watcher_sees_every_epoch_end(digits: Dataset) -> None:
    seen: list[EpochProgress] = []
    history = list(trainer(digits).run(seen.append))
    ends = [progress for progress in seen if progress.finished]
    assert [progress.score for progress in ends] == [metrics.train for metrics in history]
    assert all(progress.score.total <= progress.total == 1250 for progress in seen)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"trainer.device: got 'cuda', which this machine's torch does not see"):
        pick_device("cuda")
    assert pick_device("auto").type in ("cpu", "mps") and pick_device("cpu").type == "cpu"


def test_the_best_epoch_is_the_first_of_the_best() -> None:
    def epoch(number: int, correct: int | None) -> EpochMetrics:
        score = Score(0.1, correct, 100) if correct is not None else None
        return EpochMetrics(number, Score(0.1, 50, 100), score, None, 0.1, 1.0, 0)

    best = best_epoch([epoch(1, 97), epoch(2, 99), epoch(3, 99), epoch(4, 98)])
    assert best is not None and best.epoch == 2
    assert best_epoch([epoch(1, None)]) is None
