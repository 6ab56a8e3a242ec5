"""`result.json` as a function of what a run has measured."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archsearch.compose.request import Request
from archsearch.errors import ResumeError
from archsearch.report.sources import read_study_run
from archsearch.runs.folder import find_run
from archsearch.runs.recording import final_metrics
from archsearch.runs.result import read_result
from archsearch.runs.resume import continued_request
from archsearch.sweep.estimate import slowness_here
from archsearch.sweep.record import Entry, SweepRecord, is_finished, record_failure
from archsearch.sweep.results import outcomes_of
from tests.support.runs import epoch, made_up_result
from tests.support.studies import write_run


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    result = made_up_result(epoch(1), epoch(2, 97), stack=2, choices={"model": "session4"})
    result.write(tmp_path)
    assert read_result(tmp_path) == result.as_dict()


COMPLETE = made_up_result(
    epoch(1),
    state="KILLED",
    data={"name": "digits", "fingerprint": "-", "fallback": None},
    choices={"model": "session4"},
).as_dict()
WRONG: tuple[Any, ...] = (None, "text", "", -1, 10**30, 1.5, float("nan"), float("inf"), True, [], [1], {}, {"x": []})


def test_a_result_is_read_with_what_every_reader_relies_on(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"run_id": "abc", "of another version": [1]}')
    result = read_result(tmp_path)
    assert result is not None and result["of another version"] == [1]
    assert (result["state"], result["tracking"], result["final"], result["epochs_trained"]) == ("RUNNING", {}, None, 0)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{half", b"[]", b"null", b"\xff\xfe{}", b'{"run_id": ""}', b"[" * 100_000, b"1" * 10_000],
    ids=["missing", "empty", "half", "list", "null", "bytes", "no id", "nested", "long number"],
)
def test_an_unreadable_result_is_none(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "result.json").write_bytes(content)
    assert read_result(tmp_path) is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_result_that_is_no_file_is_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "result.json")
    assert read_result(tmp_path) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run_id", 5), ("run_id", "../x"), ("run_id", "a\nb"), ("state", "DONE"), ("epochs_trained", "2"),
        ("final", {"val/accuracy": "99"}), ("final", {"val/accuracy": float("nan")}), ("best", []), ("seconds", -1),
        ("data", "mnist"), ("data", {"name": "mnist"}), ("tracking", {"complete": "yes"}), ("choices", {"model": 1}),
        ("overrides", [1]), ("params", True), ("macs", 1.5), ("images_per_second", 0), ("history", [1]),
    ],
)  # fmt: skip
def test_a_result_with_a_value_of_the_wrong_kind_is_none(key: str, value: Any, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({**COMPLETE, key: value}))
    assert read_result(tmp_path) is None


@pytest.mark.parametrize("key", COMPLETE)
def test_no_reader_fails_on_a_damaged_result(key: str, workspace: Path) -> None:
    folder = write_run(workspace / "outputs" / "runs" / "a")
    entry = Entry(0, "a", "a", {}, [], "f", "READY")
    damaged = [{name: item for name, item in COMPLETE.items() if name != key}]
    damaged += [{**COMPLETE, key: value} for value in WRONG]
    for content in damaged:
        (folder / "result.json").write_text(json.dumps(content))
        study_run = read_study_run(folder)
        assert study_run is None or isinstance(study_run.seed, int)
        assert slowness_here(workspace / "outputs") > 0
        assert len(outcomes_of(SweepRecord([], "s", [], [entry]), folder.parent)) == 1
        is_finished(folder)
        try:
            continued = continued_request(Request({"resume": "last"}, {}, ()), find_run("last"))
            assert continued.name.startswith("session4")
        except ResumeError:
            pass
        record_failure(folder, "its process died")


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
