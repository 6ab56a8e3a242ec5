"""Whole runs in this process: their files, their numbers, and how they end."""

import csv
import logging
from pathlib import Path

import pytest
import torch
import yaml

from archsearch.errors import NonFiniteLossError, TimeLimitError
from archsearch.runs.prepare import prepare
from archsearch.runs.train import set_up
from tests.support.requests import QUICK, ask
from tests.support.runs import RECIPE, RUN, UNRECORDED, result_in, train_in, without_times

UNTRACKED = (*QUICK, "trainer.epochs=1", *UNRECORDED)


def predictions_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_finished_run_leaves_these_files(finished: Path) -> None:
    assert sorted(path.name for path in (finished / RUN).glob("[!.]*")) == [
        "augmented.png", "checkpoint.pt", "config.yaml", "confusion.png", "curves.png", "layers.txt", "mistakes.png",
        "network.svg", "predictions.csv", "result.json",
    ]  # fmt: skip


def test_the_result_has_the_state_and_the_final_and_best_epoch(finished: Path) -> None:
    result = result_in(finished / RUN)
    assert (result["state"], result["epochs_trained"], result["reason"]) == ("FINISHED", 2, None)
    assert result["final"]["epoch"] == 2
    assert result["best"]["selected_on"] == "validation"


def test_the_result_names_the_data(finished: Path) -> None:
    data = result_in(finished / RUN)["data"]
    assert data == {"name": "digits", "fingerprint": data["fingerprint"], "fallback": None}


def test_predictions_cover_the_test_set_in_order_and_give_its_accuracy(finished: Path) -> None:
    rows = predictions_in(finished / RUN)
    correct = sum(row["label"] == row["prediction"] for row in rows)
    assert [int(row["index"]) for row in rows] == list(range(297))
    assert result_in(finished / RUN)["final"]["test/accuracy"] == pytest.approx(100 * correct / 297)


def test_the_configuration_and_the_layer_table_are_written(finished: Path) -> None:
    assert yaml.safe_load((finished / RUN / "config.yaml").read_text())["model"]["width"] == 0.4
    assert "Total params" in (finished / RUN / "layers.txt").read_text()


@pytest.mark.parametrize("name", ["curves", "confusion", "mistakes"])
def test_figures_are_png_files(finished: Path, name: str) -> None:
    assert (finished / RUN / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("workspace")
def test_the_same_command_gives_the_same_numbers(finished: Path) -> None:
    result = train_in(RUN, *RECIPE, *UNRECORDED)
    assert without_times(result) == without_times(result_in(finished / RUN))
    assert predictions_in(RUN) == predictions_in(finished / RUN)


@pytest.mark.usefixtures("workspace")
def test_without_figures_none_are_drawn() -> None:
    train_in(RUN, *UNTRACKED)
    assert not list(RUN.glob("*.png"))


@pytest.mark.usefixtures("workspace")
def test_the_references_protocol_selects_on_the_test_set(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "archsearch"):
        result = train_in(RUN, *UNTRACKED, "data.validation=0", "trainer.test_every_epoch=true")
    assert result["best"]["selected_on"] == "test" and "val/accuracy" not in result["final"]
    assert result["history"][-1]["test/accuracy"] == result["final"]["test/accuracy"]
    assert "/1500 (" in caplog.text and "Test set: Average loss: " in caplog.text


@pytest.mark.usefixtures("workspace")
def test_a_fallback_of_the_data_is_shown_and_saved(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    result = train_in(RUN, *UNTRACKED, "data=auto")
    assert result["data"]["name"] == "digits" and "MNIST is not on disk" in result["data"]["fallback"]
    assert "Training on scikit-learn digits instead" in caplog.text


@pytest.mark.usefixtures("workspace")
def test_a_diverging_loss_fails_the_run_with_its_reason() -> None:
    with pytest.raises(NonFiniteLossError):
        train_in(RUN, *UNTRACKED, "optimizer.lr=1e18", "scheduler=constant")
    result = result_in(RUN)
    assert result["state"] == "FAILED" and "the training loss became" in result["reason"]


@pytest.mark.usefixtures("workspace")
def test_a_network_whose_evaluation_is_not_finite_fails_the_run() -> None:
    with pytest.raises(NonFiniteLossError, match="the evaluated loss became nan after epoch 1"):
        train_in(RUN, *UNTRACKED, "trainer.batch_size=1250", "optimizer.lr=1e30", "scheduler=constant")
    result = result_in(RUN)
    assert result["state"] == "FAILED" and result["epochs_trained"] == 0


@pytest.mark.usefixtures("workspace")
def test_the_time_limit_applies_to_runs_of_a_sweep() -> None:
    overrides = ("sweep.time_limit=1e-9", "++sweep_run={sweep: s, number: 0, name: a}")
    with pytest.raises(TimeLimitError, match=r"took longer than sweep.time_limit \(1e-09 s\), in epoch 1"):
        train_in(RUN, *UNTRACKED, *overrides)
    assert result_in(RUN)["state"] == "FAILED"


@pytest.mark.usefixtures("workspace")
def test_trainer_threads_sets_the_number_of_torchs_threads() -> None:
    before = torch.get_num_threads()
    try:
        set_up(prepare(ask(*UNTRACKED, f"trainer.threads={before + 1}")))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
