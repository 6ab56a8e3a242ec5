"""The numbers that the benchmarks derive from what they measure."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from archsearch.training.metrics import EpochMetrics, Score

Load = Callable[[str], ModuleType]


@pytest.fixture
def history() -> list[EpochMetrics]:
    """Two epochs of 300 images in batches of 128: from 10 to 16 and from 16.5 to 20.5 s after a start at 1000 s."""
    score, train = Score(0.1, 90, 100), Score(0.1, 250, 300)
    return [
        EpochMetrics(1, train, score, None, 0.01, 5.0, 1_016_000, 1.0),
        EpochMetrics(2, train, score, None, 0.01, 3.0, 1_020_500, 1.0),
    ]


@pytest.fixture
def run(load: Load, history: list[EpochMetrics]) -> Any:
    """The row of a run that took 24 s."""
    timing = load("candidates.command").timing(history, began=1000.0, ended=1024.0, batch_size=128)
    return {**timing, "test_accuracy": 98.0, "params": 7, "seed": 1}


def test_the_rates_of_a_run_are_images_by_seconds_of_training_and_of_evaluation(run: Any) -> None:
    assert run["images_per_second"] == 600 / 8 and run["evaluation_images_per_second"] == 200 / 2
    assert run["train_images"] == 300 and run["test_images"] == 100 and run["images_trained"] == 600


def test_the_time_of_a_run_outside_its_epochs_is_known(run: Any) -> None:
    assert run["seconds_to_first_epoch"] == 10 and run["seconds_after_last_epoch"] == 3.5
    assert run["seconds_between_epochs"] == 0.5


def test_the_first_step_takes_its_share_of_the_first_epoch(run: Any) -> None:
    assert run["seconds_to_first_step"] == pytest.approx(10 + 5 / 3)  # three steps per epoch


def test_a_sweep_adds_up_the_rates_of_its_runs(load: Load, run: Any) -> None:
    sweep = load("candidates.command").together([run, run])
    assert sweep["images_per_second"] == 150 and sweep["evaluation_images_per_second"] == 200
    assert sweep["images_trained"] == 1200 and sweep["train_images"] == 300 and sweep["workers"] == 2


def test_a_sweep_has_the_mean_accuracy_and_the_first_step_of_its_runs(load: Load, run: Any) -> None:
    later = {**run, "seed": 2, "test_accuracy": 99.0, "seconds_to_first_step": 100.0}
    sweep = load("candidates.command").together([run, later])
    assert sweep["test_accuracy"] == 98.5 and sweep["seed"] == [1, 2]
    assert sweep["seconds_to_first_step"] == run["seconds_to_first_step"]


@pytest.fixture
def bare_and_full() -> list[dict[str, float]]:
    """A run of two epochs without and with MLflow."""
    parts = ("seconds_to_first_epoch", "seconds_between_epochs", "seconds_after_last_epoch", "training_seconds")
    rest = {"evaluation_seconds": 6.0, "epochs": 2, "train_images": 50_000}
    rows = ((3.0, 0.1, 2.0, 70.0), (5.0, 0.5, 6.0, 73.0))
    return [{**dict(zip(parts, values, strict=True)), **rest} for values in rows]


def test_what_mlflow_adds_is_scaled_to_all_epochs(load: Load, bare_and_full: Any) -> None:
    added = load("overhead").added(*bare_and_full, epochs=8)
    assert (added["before"], added["during"], added["between"], added["after"]) == (2, 3, 4, 4)
    assert added["whole"] == 5 + 8 * 38 + 3 + 4 + 6
    assert added["percent"] == pytest.approx(100 * 13 / 322)


def test_what_mlflow_adds_is_compared_with_longer_epochs(load: Load, bare_and_full: Any) -> None:
    added = load("overhead").added(*bare_and_full, epochs=8, images=100_000)
    assert added["whole"] == 322 + 8 * 38


@pytest.fixture
def timed(runner: ModuleType) -> Any:
    """Two runs of archsearch, and one epoch of the loop beside each."""
    runs = [{"training_seconds": 190.0, "seconds": 200.0}, {"training_seconds": 95.0, "seconds": 120.0}]
    return runner.Table({"archsearch": runs, "loop_epoch": [{"training_seconds": 50.0, "evaluation_seconds": 2.0}] * 2})


def test_training_is_compared_with_19_epochs_of_the_loop(load: Load, timed: Any) -> None:
    shares = load("time_to_accuracy").shares_of(timed)
    assert shares["training"]["values"] == [0.2, 0.1] and shares["training"]["median"] == pytest.approx(0.15)
    assert shares["whole"]["values"][0] == pytest.approx(200 / (19 * 52))


def test_a_loop_on_half_of_the_images_counts_twice(load: Load, timed: Any) -> None:
    assert load("time_to_accuracy").shares_of(timed, 30_000)["training"]["values"] == [0.1, 0.05]


def test_importing_torch_is_subtracted_round_by_round(load: Load, runner: ModuleType) -> None:
    seconds = {"python -c pass": (0.25, 0.5), "import torch": (1.25, 2.5), "first step": (3.0, 4.5)}
    table = runner.Table({name: [{"seconds": value} for value in values] for name, values in seconds.items()})
    load("startup").subtract_torch(table)
    assert table.values("first step", "seconds_without_torch") == [2.0, 2.5]
