"""What the console shows of a run."""

from pathlib import Path

import pytest
import torch

from archsearch.data.batches import ImageSet
from archsearch.runs.console import (
    closing_summary,
    data_banner,
    epoch_line,
    interruption_message,
    one_line_summary,
    opening_line,
)
from archsearch.runs.formatting import aligned, count, duration
from archsearch.runs.result import Result
from archsearch.training.trainer import Splits
from tests.support.runs import RUN, epoch, made_up_result


def summary(result: Result) -> str:
    return closing_summary(result, RUN, "a CPU", 5000)


def splits(train: int, validation: int | None) -> Splits:
    def images(number: int) -> ImageSet:
        indices = torch.arange(number)
        return ImageSet(torch.zeros(number, 1, 1, 1), indices, indices, mean=0, std=1)

    return Splits(images(train), None if validation is None else images(validation), images(1))


def test_counts_agree_with_their_nouns() -> None:
    assert [count(number, "run") for number in (0, 1, 2, 1000)] == ["0 runs", "1 run", "2 runs", "1,000 runs"]


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_durations_have_a_suitable_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_columns_are_right_aligned_but_the_last() -> None:
    assert aligned([["a", "bb", "c"], ["aa", "b", "cc"]]) == [" a  bb  c", "aa   b  cc"]


def test_the_opening_line_names_model_data_and_epochs() -> None:
    line = opening_line(made_up_result(epochs=8), "MNIST", splits(3, 2), 0, "a CPU")
    assert line == "session4: 12,954 parameters on MNIST (3 images, 2 held out), 8 epochs on a CPU"


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
    warning = "Send the rest with: python -m archsearch resume=0123456789abcdef"
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
