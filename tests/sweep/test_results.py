"""The outcomes of runs as the folder of a sweep has them, and their table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from archsearch.sweep.closing import compare_page
from archsearch.sweep.pictures import draw_sweep
from archsearch.sweep.record import Entry, SweepRecord
from archsearch.sweep.result_tables import markdown, result_table
from archsearch.sweep.results import RunOutcome, outcomes_by_variant, outcomes_of


def test_a_link_compares_at_most_100_runs() -> None:
    page = compare_page("1", [f"{number:032}" for number in range(300)])
    assert page.count(f"{99:032}") == 1 and f"{100:032}" not in page and len(page) < 5000
    assert compare_page("1", ["a", "b"]) == "/#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%221%22%5D"


@pytest.fixture
def outcomes(tmp_path: Path) -> list[RunOutcome]:
    """Seeds 1 to 6 of one variant, with validation accuracies of 90 % and more."""
    entries = [
        Entry(number, str(number), f"seed={number + 1}", {"seed": str(number + 1)}, [], str(number), "READY")
        for number in range(6)
    ]
    entries[3].failed, entries[3].reason = True, "its process was killed by SIGKILL"  # after it had finished
    entries[4].state, entries[4].reason = "OVER_BUDGET", "constraints.max_params: has become tighter"
    entries[5].failed, entries[5].reason = True, ""
    states = {0: "FINISHED", 1: "RUNNING", 2: "KILLED", 3: "FINISHED", 4: "FINISHED"}
    for number, state in states.items():
        final = {"val/accuracy": 90.0 + number, "test/accuracy": 80.0}
        result = {"state": state, "reason": "interrupted" if state == "KILLED" else None, "run_id": "x"}
        numbers = {"seconds": 1.0, "epochs_trained": 2, "final": final, "best": final, "tracking": {}}
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "result.json").write_text(json.dumps(result | numbers))
    return outcomes_of(SweepRecord([], "id", ["seed"], entries), tmp_path)


def state(outcomes: list[RunOutcome], number: int) -> tuple[str, str | None]:
    (outcome,) = [outcome for outcome in outcomes if outcome.number == number]
    return outcome.state, outcome.reason


def test_finished_runs_come_first_and_the_best_on_top(outcomes: list[RunOutcome]) -> None:
    assert [outcome.number for outcome in outcomes][:3] == [4, 3, 0]
    assert [outcome.state for outcome in outcomes] == ["FINISHED"] * 3 + ["KILLED"] * 2 + ["FAILED"]


def test_a_finished_run_stays_finished_when_its_worker_dies(outcomes: list[RunOutcome]) -> None:
    assert state(outcomes, 3) == ("FINISHED", None)


def test_a_finished_run_stays_finished_when_the_budget_becomes_tighter(outcomes: list[RunOutcome]) -> None:
    assert state(outcomes, 4) == ("FINISHED", None)


def test_a_run_whose_folder_says_running_was_killed(outcomes: list[RunOutcome]) -> None:
    assert state(outcomes, 1) == ("KILLED", "its process died")


def test_a_run_that_failed_before_it_had_a_folder_has_failed(outcomes: list[RunOutcome]) -> None:
    assert state(outcomes, 5) == ("FAILED", "")


def test_only_unfinished_runs_would_be_resumed(outcomes: list[RunOutcome]) -> None:
    assert {outcome.number for outcome in outcomes if outcome.is_unfinished} == {1, 2, 5}


def test_statistics_of_a_variant_are_over_its_finished_runs(outcomes: list[RunOutcome]) -> None:
    (variant,) = outcomes_by_variant(outcomes)
    mean, sd, n = variant.statistic("val_final") or (0, 0, 0)
    assert n == 3 and mean == pytest.approx((90 + 93 + 94) / 3) and sd == pytest.approx(2.0817, abs=1e-4)


def test_a_row_has_mean_and_deviation_and_names_the_unfinished_seeds(outcomes: list[RunOutcome]) -> None:
    text = str(result_table(outcomes))
    assert "92.33  2.08" in text and "seed 6: FAILED" in text
    assert "seed 2: KILLED: its process died" in markdown(outcomes)


def test_a_value_that_looks_like_a_formula_is_drawn_as_it_is(outcomes: list[RunOutcome], tmp_path: Path) -> None:
    named = [replace(outcome, values={"data.root": "$\\frac$"}) for outcome in outcomes]
    assert draw_sweep(tmp_path, named, "sweep of $\\x$") == [tmp_path / "ranking.png"]
