"""`result.json` as a function of what a run has measured."""

from pathlib import Path

import pytest

from archsearch.runs.recording import final_metrics
from archsearch.runs.result import read_result
from tests.support.runs import epoch, made_up_result


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    result = made_up_result(epoch(1), epoch(2, 97))
    result.write(tmp_path)
    assert read_result(tmp_path) == result.as_dict()


@pytest.mark.parametrize("content", [None, "", "{half", "[]"])
def test_an_unreadable_result_is_none(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    assert read_result(tmp_path) is None


def test_a_run_without_epochs_has_neither_final_nor_best_epoch() -> None:
    content = made_up_result(state="RUNNING").as_dict()
    assert (content["epochs_trained"], content["final"], content["best"]) == (0, None, None)
    assert content["images_per_second"] is None


def test_the_best_epoch_says_what_it_was_selected_on() -> None:
    on_validation, on_test = made_up_result(epoch(1, 95)), made_up_result(epoch(1, None, 95))
    assert on_validation.as_dict()["best"]["selected_on"] == "validation"
    assert on_test.as_dict()["best"]["selected_on"] == "test"


def test_without_a_selection_score_there_is_no_best_epoch() -> None:
    content = made_up_result(epoch(1, None)).as_dict()
    assert content["best"] is None and content["final"]["test/accuracy"] == 97


def test_times_are_sums_over_epochs() -> None:
    content = made_up_result(epoch(1), epoch(2)).as_dict()
    assert (content["seconds"], content["images_per_second"]) == (4, 50)


def test_final_metrics_name_the_split_that_the_best_epoch_was_selected_on() -> None:
    metrics = final_metrics(made_up_result(epoch(1, None, 99), epoch(2, None, 98)))
    assert (metrics["test/best_accuracy"], metrics["best_epoch"]) == (99, 1)
    assert (metrics["epoch_seconds"], metrics["images_per_second"]) == (2, 50)
