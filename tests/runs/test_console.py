"""What the console shows of a run."""

import fcntl
import logging
import os
import re
import struct
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from archsearch.data.batches import ImageSet
from archsearch.runs.console import (
    EpochBars,
    closing_summary,
    data_banner,
    epoch_line,
    imbalance_line,
    interruption_message,
    one_line_summary,
    opening_line,
    shorter_epoch_lines,
)
from archsearch.runs.formatting import aligned, count, duration, with_model
from archsearch.runs.result import Result
from archsearch.training.metrics import Score
from archsearch.training.trainer import EpochProgress, Splits
from tests.support.runs import RUN, epoch, made_up_result


def summary(result: Result) -> str:
    return closing_summary(result, RUN, "a CPU", 5000)


def splits(train: int, validation: int | None) -> Splits:
    def images(number: int) -> ImageSet:
        indices = torch.arange(number)
        return ImageSet(torch.zeros(number, 1, 1, 1), indices, indices, mean=0, std=1, classes=number)

    return Splits(images(train), None if validation is None else images(validation), images(1))


def test_counts_agree_with_their_nouns() -> None:
    assert [count(number, "run") for number in (0, 1, 2, 1000)] == ["0 runs", "1 run", "2 runs", "1,000 runs"]


def test_a_run_is_named_with_its_model_once() -> None:
    names = ("session4 seed=2", "model=session4 seed=2", "seed=2")
    assert [with_model(name, "session4") for name in names] == [*names[:2], "session4 seed=2"]


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_durations_have_a_suitable_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_columns_are_right_aligned_but_the_last() -> None:
    assert aligned([["a", "bb", "c"], ["aa", "b", "cc"]]) == [" a  bb  c", "aa   b  cc"]


def test_the_opening_line_names_model_data_and_epochs() -> None:
    line = opening_line(made_up_result(epochs=8), "MNIST", splits(3, 2), 0, "a CPU")
    assert line == "session4: 12,954 parameters on MNIST (3 images, 2 held out), 8 epochs on a CPU"


def test_the_opening_line_names_the_precision() -> None:
    result = made_up_result(epochs=8)
    result.precision = "bfloat16"
    assert "8 epochs in bfloat16 on a CPU" in opening_line(result, "MNIST", splits(3, 2), 0, "a CPU")


def test_the_opening_line_of_one_epoch_is_in_the_singular() -> None:
    line = opening_line(made_up_result(epochs=1), "MNIST", splits(1, None), 0, "a CPU")
    assert line == "session4: 12,954 parameters on MNIST (1 image), 1 epoch on a CPU"


def test_the_opening_line_says_where_a_run_continues() -> None:
    line = opening_line(made_up_result(epochs=8), "MNIST", splits(1, None), 3, "a CPU")
    assert line.endswith(", continuing after epoch 3")


def test_an_epoch_is_a_line_with_the_scores_of_each_split() -> None:
    assert epoch_line(epoch(2, 95, 94), 3) == (
        "Epoch 2/3  Train set: Average loss: 0.5000, Accuracy: 90/100 (90.00%)"
        "  Val set: Average loss: 0.4000, Accuracy: 95/100 (95.00%)"
        "  Test set: Average loss: 0.4000, Accuracy: 94/100 (94.00%)  lr 0.1  2.0 s"
    )


@pytest.mark.parametrize("epochs", [3, 100])
def test_an_epoch_has_a_line_that_fits_80_columns(epochs: int) -> None:
    for metrics in (epoch(epochs, 95), epoch(epochs, 95, 94)):
        lines = shorter_epoch_lines(metrics, epochs)
        fitting = next(line for line in lines if len(line) <= 80)
        assert fitting.startswith(f"Epoch {epochs}/{epochs}  train ") and "val " in fitting and "95.00%" in fitting
        assert [len(line) for line in lines] == sorted(map(len, lines), reverse=True)


def progress(images: int, number: int = 1) -> EpochProgress:
    return EpochProgress(number, 2, 100, Score(0.12345, images, images), finished=images == 100)


def test_without_a_terminal_a_line_is_logged_every_30_seconds(caplog: pytest.LogCaptureFixture) -> None:
    moments = iter([0, 20, 31, 40, 62, 70, 80])
    caplog.set_level(logging.INFO, "archsearch")
    with EpochBars(lambda: next(moments)) as bars:
        for images in (1, 20, 50, 60, 80, 100):
            bars(progress(images))
        bars(progress(1, number=2))
    assert caplog.messages == [
        "epoch 1/2: 50%, loss 0.123 acc 100.0%, 31 s left",
        "epoch 1/2: 80%, loss 0.123 acc 100.0%, 15 s left",
    ]


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_a_bar_has_room_for_itself_and_the_accuracy(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with open(writing, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with EpochBars() as bars:
            bars(EpochProgress(10, 19, 50_000, Score(0.1, 10_000, 25_000), finished=False))
            os.set_blocking(reading, False)
            shown = ""
            with suppress(BlockingIOError):
                while True:
                    shown += os.read(reading, 4096).decode()
    os.close(reading)
    line = re.split(r"[\r\n]", shown.rstrip())[-1]
    assert len(line) <= columns - 2  # so that the terminal's ^C does not wrap
    assert "epoch 10/19  50%" in line and "loss 0.100 acc 40.0%" in line
    assert len(line.split("|")[1]) >= 8


def test_the_summary_has_the_final_and_the_best_epoch() -> None:
    lines = summary(made_up_result(epoch(1, 96), epoch(2, 95))).splitlines()
    assert lines[2].split() == ["final", "2", "90.00%", "95.00%", "97.00%"]
    assert lines[3].split() == ["best", "1", "90.00%", "96.00%", "-"]
    assert "best epoch chosen on validation" in lines


def test_the_summary_warns_of_a_best_epoch_chosen_on_the_test_set() -> None:
    assert "best epoch chosen on the TEST set: optimistic" in summary(made_up_result(epoch(1, None, 95)))


def test_the_summary_has_no_best_epoch_if_nothing_was_selected() -> None:
    assert "best" not in summary(made_up_result(epoch(1, None)))


@pytest.mark.parametrize("complete", [True, False])
def test_the_summary_says_how_to_send_the_rest_of_an_incomplete_record(complete: bool) -> None:
    tracking = {"uri": "sqlite:///x.db", "experiment_id": "1", "complete": complete}
    text = summary(made_up_result(epoch(1), tracking=tracking))
    assert "http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef" in text
    warning = "Send the rest with:\n  python -m archsearch resume=0123456789abcdef"
    assert (warning in text) is not complete


def test_the_description_in_mlflow_agrees_with_its_counts() -> None:
    assert one_line_summary(made_up_result(epoch(1))).startswith("test 97.00 % after 1 epoch · best epoch 1 with 95.00")
    assert one_line_summary(made_up_result(epoch(1), epoch(2))).startswith("test 97.00 % after 2 epochs · ")


def test_an_interruption_says_how_to_resume() -> None:
    message = interruption_message(made_up_result(epoch(1), epochs=3), Path("outputs/runs/a"))
    assert "interrupted after 1 of 3 epochs" in message
    assert "python -m archsearch resume=0123456789abcdef" in message


def test_the_banner_of_a_fallback_names_reason_and_data() -> None:
    banner = data_banner("digits", "MNIST is not on disk")
    assert "MNIST is not on disk" in banner and "Training on digits instead" in banner


def test_a_server_is_its_own_page() -> None:
    text = summary(made_up_result(epoch(1), tracking={"uri": "http://x:1/", "experiment_id": "7", "complete": True}))
    assert "http://x:1/#/experiments/7/runs/" in text and "archsearch.ui" not in text


def test_a_run_that_the_store_never_had_has_no_page() -> None:
    text = summary(
        made_up_result(epoch(1), tracking={"uri": "sqlite:///x.db", "experiment_id": None, "complete": False})
    )
    assert "experiments/" not in text and "WARNING: MLflow lacks a part" in text


def test_classes_of_very_different_sizes_are_reported() -> None:
    assert imbalance_line(("cat", "dog"), (50, 100)) is None
    line = imbalance_line(("cat", "dog", "eel"), (50, 1200, 101))
    assert line is not None and line.startswith("classes have from 50 (cat) to 1,200 (dog) images")
    assert "trainer.class_weights=balanced" in line
