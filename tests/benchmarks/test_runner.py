"""How candidates take turns, and how their rows are compared. The candidates are fakes, whose processes take 10 ms."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PID = "print('chatter'); print(json.dumps({'pid': os.getpid(), 'speed': 10.0 * number}))"
Fake = Callable[..., Any]


def test_candidates_take_turns(runner: ModuleType, fake: Fake, tmp_path: Path) -> None:
    runner.alternate([fake("a", PID), fake("b", PID)], 2)
    assert (tmp_path / "turns").read_text().split() == ["a1", "b1", "a2", "b2"]


def test_every_turn_has_a_fresh_process(runner: ModuleType, fake: Fake) -> None:
    table = runner.alternate([fake("a", PID), fake("b", PID)], 2)
    assert len({row["pid"] for rows in table.rows.values() for row in rows}) == 4


def test_a_warm_up_round_is_run_but_not_recorded(runner: ModuleType, fake: Fake, tmp_path: Path) -> None:
    lines: list[str] = []
    table = runner.alternate([fake("a", PID)], 2, warm_up=True, show=lines.append)
    assert (tmp_path / "turns").read_text().split() == ["a0", "a1", "a2"]
    assert table.values("a", "speed") == [10.0, 20.0]
    assert len(lines) == 2 and lines[0].startswith("round 1: a:")


def test_a_row_is_the_last_line_and_the_seconds_of_the_process(runner: ModuleType, fake: Fake) -> None:
    (row,) = runner.alternate([fake("a", PID)], 1).rows["a"]
    assert row["speed"] == 10.0 and row["seconds"] > 0


def test_a_candidate_knows_when_it_was_started(runner: ModuleType, fake: Fake) -> None:
    code = f"print(json.dumps({{'since': time.time() - float(os.environ[{runner.BEGAN!r}])}}))"
    table = runner.alternate([fake("a", code)], 1)
    assert 0 <= table.rows["a"][0]["since"] < 10


def test_a_candidate_that_is_not_installed_is_skipped_from_then_on(
    runner: ModuleType, fake: Fake, tmp_path: Path
) -> None:
    lines: list[str] = []
    missing = fake("rival", f"sys.exit(print('rival is missing', file=sys.stderr) or {runner.SKIPPED})")
    table = runner.alternate([missing, fake("base", "print('{}')")], 2, show=lines.append)
    assert table.skipped == {"rival": "rival is missing"} and list(table.rows) == ["base"]
    assert "SKIPPED rival: rival is missing" in lines
    assert (tmp_path / "turns").read_text().split() == ["rival1", "base1", "base2"]


@pytest.mark.parametrize(
    ("code", "complaint"),
    [("raise ValueError('broken')", "exit status 1(.|\n)*broken"), ("print('done')", "not JSON"), ("", "not JSON"),
     ("print('[1]')", "not a JSON object")],
)  # fmt: skip
def test_a_candidate_that_fails_ends_the_benchmark(runner: ModuleType, fake: Fake, code: str, complaint: str) -> None:
    with pytest.raises(runner.BenchmarkError, match=f"a: .*{complaint}"):
        runner.alternate([fake("a", code)], 1)


def test_a_candidate_may_be_expected_to_fail(runner: ModuleType, fake: Fake) -> None:
    candidate = fake("a", "sys.exit(2)", read=lambda process: {}, status=2)
    assert runner.alternate([candidate], 1).rows["a"][0]["seconds"] > 0


def test_ratios_are_taken_within_a_round(runner: ModuleType) -> None:
    """The machine became ten times slower in the last two rounds; the ratio of medians would be 20."""
    table = runner.Table({"base": [{"v": 1000}, {"v": 100}, {"v": 100}], "a": [{"v": 2000}, {"v": 200}, {"v": 300}]})
    assert table.ratios("a", "base", "v") == [2.0, 2.0, 3.0]


def test_the_largest_difference_of_means_is_reported(runner: ModuleType) -> None:
    table = runner.Table(
        {
            "base": [{"params": 5, "accuracy": 98.0}, {"params": 5, "accuracy": 98.4}],
            "a": [{"params": 5, "accuracy": 98.6}, {"params": 5, "accuracy": 98.2}],
        }
    )
    largest = runner.require_same(table, "base", ["params"], {"accuracy": 0.3})
    assert largest["accuracy"] == pytest.approx(0.2)


def test_everything_that_differs_from_the_base_is_listed(runner: ModuleType) -> None:
    same = {"params": 5, "images": 10, "accuracy": 98.0}
    table = runner.Table(
        {
            "base": [same] * 2,
            "a": [{**same, "accuracy": 97.5}] * 2,
            "b": [same, {**same, "params": 6}],
            "c": [{"params": 5, "accuracy": math.nan}] * 2,
        }
    )
    with pytest.raises(runner.BenchmarkError) as raised:
        runner.require_same(table, "base", ["params", "images"], {"accuracy": 0.3})
    _, *problems = str(raised.value).splitlines()
    assert problems == [
        "a: mean accuracy is 97.50, not within 0.3 of base's 98.00",
        "b: params is 5, 6, not 5",
        "c: images is None, not 10",
        "c: mean accuracy is nan, not within 0.3 of base's 98.00",
    ]
