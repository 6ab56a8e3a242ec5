"""What a benchmark prints and writes at its end."""

import json
import math
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.processes import REPOSITORY


@pytest.fixture
def summary(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("summary")


@pytest.fixture
def results_file(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("results_file")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "speed.json"


@pytest.fixture
def content(results_file: ModuleType, runner: ModuleType, path: Path) -> Any:
    """The content of a results file of two rounds."""
    table = runner.Table({"a": [{"v": 1.0, "backend": "torch"}, {"v": 3.0, "backend": "torch"}]})
    results_file.write_results(path, {"rounds": 2}, table, ["v", "w", "backend"], ratios={"a": 1})
    return json.loads(path.read_text())


def test_a_results_file_has_every_row_and_the_spreads_of_its_numbers(content: Any) -> None:
    assert content["rounds"] == {"a": [{"v": 1.0, "backend": "torch"}, {"v": 3.0, "backend": "torch"}]}
    assert content["summary"] == {"a": {"v": {"median": 2.0, "min": 1.0, "max": 3.0, "n": 2}}}
    assert content["benchmark"] == "speed" and content["settings"] == {"rounds": 2} and content["ratios"] == {"a": 1}


def test_a_results_file_names_machine_versions_and_commit(content: Any) -> None:
    assert content["machine"]["cores"] >= 1 and content["machine"]["processor"]
    assert {"versions.torch", "versions.python", "archsearch.version", "commit"} <= set(content["code"])


def test_a_results_file_has_no_path_of_the_machine(content: Any, path: Path) -> None:
    assert str(REPOSITORY) not in path.read_text()


def test_results_that_are_not_json_leave_the_file_as_it_was(
    content: Any, results_file: ModuleType, runner: ModuleType, path: Path
) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        results_file.write_results(path, {}, runner.Table({"a": [{"v": math.inf}]}), [])
    assert json.loads(path.read_text()) == content and list(path.parent.iterdir()) == [path]


def test_results_are_published_by_default(results_file: ModuleType) -> None:
    assert results_file.output_path(ArgumentParser(), None, "speed") == REPOSITORY / "benchmarks/results/speed.json"


def test_a_trial_never_replaces_published_results(results_file: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        results_file.output_path(ArgumentParser(), None, "speed", trial=True)
    assert "--output" in capsys.readouterr().err


def test_a_spread_is_shown_as_median_and_range(summary: ModuleType) -> None:
    assert summary.spread([2.0, 2.0, 3.0]) == {"median": 2.0, "min": 2.0, "max": 3.0, "n": 3}
    assert summary.format_spread(summary.spread([1.0, 4.0])) == "2.50 (1.00 to 4.00)"


@pytest.mark.parametrize(
    ("value", "bound", "at_least", "line"),
    [
        (1.8, 1.7, True, "met     speed: 1.80, wanted at least 1.7"),
        (1.6, 1.7, True, "MISSED  speed: 1.60, wanted at least 1.7"),
        (2.0, 2.0, False, "met     speed: 2.00, wanted at most 2"),
        (2.1, 2.0, False, "MISSED  speed: 2.10, wanted at most 2"),
    ],
)
def test_a_target_is_met_or_missed(
    summary: ModuleType, capsys: pytest.CaptureFixture[str], value: float, bound: float, at_least: bool, line: str
) -> None:
    row = summary.target("speed", value, bound, at_least=at_least)
    assert capsys.readouterr().out.splitlines() == [line]
    assert row["met"] is line.startswith("met")
