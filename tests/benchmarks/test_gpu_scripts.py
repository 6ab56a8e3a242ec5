"""The GPU benchmarks, on the CPU, where steps are not recorded as graphs."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from archsearch.data.catalogue import DATASETS
from archsearch.data.load import Dataset

Script = Callable[..., Any]


@pytest.fixture
def run_script(load: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Runs a script for one round on 40 images of noise; returns its results file."""
    images = np.random.default_rng(0).integers(256, size=(40, 1, 28, 28), dtype=np.uint8)
    labels = np.arange(40, dtype=np.uint8) % 10
    noise = Dataset(DATASETS["mnist"], images, labels, images, labels)
    monkeypatch.setattr(load("gpu_setup"), "load_mnist", lambda: (noise, False))

    def run(name: str, *arguments: str) -> Any:
        path = tmp_path / "results.json"
        shared = ["--device", "cpu", "--rounds", "1", "--batch-size", "8", "--json", str(path)]
        load(name).main([*shared, *arguments])
        return json.loads(path.read_text())

    return run


def test_all_ways_to_train_on_a_gpu_reach_the_same_accuracy(run_script: Script) -> None:
    results = run_script("gpu_epoch", "--ways", "eager,graphs,stack", "--epochs", "2", "--dropout", "0")
    assert [row["way"] for row in results["rows"]] == ["eager", "graphs", "stack"]
    assert len({row["test_accuracy"] for row in results["rows"]}) == 1
    assert results["mnist"] is False and results["targets"] == []  # a trial has no targets


def test_the_targets_of_a_gpu_are_for_its_fastest_run(load: Callable[[str], ModuleType]) -> None:
    rows = [{"training": [2.0, 0.3, 0.2], "whole": 9.0, "seconds_to_99": seconds} for seconds in (None, 1.5)]
    assert [target["met"] for target in load("gpu_epoch").targets_of(rows)] == [True, True, False]


def test_there_is_no_target_for_an_accuracy_that_was_never_reached(load: Callable[[str], ModuleType]) -> None:
    rows = [{"training": [0.2], "whole": 9.0, "seconds_to_99": None}]
    assert len(load("gpu_epoch").targets_of(rows)) == 2


def test_an_unknown_way_to_train_is_rejected(run_script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_script("gpu_epoch", "--ways", "eagre")
    assert "--ways: got eagre, must be some of eager, graphs, stack" in capsys.readouterr().err


def test_a_stack_is_measured_beside_its_members_one_after_another(run_script: Script) -> None:
    results = run_script("stacked", "--members", "1,2", "--steps", "2")
    assert [row["members"] for row in results["rows"]] == [1, 2]
    assert all(len(row[way]) == 1 for row in results["rows"] for way in ("alone", "stacked"))
    assert results["loss_difference"] < 1e-3


@pytest.mark.parametrize(("members", "met"), [(2, []), (64, [True])])
def test_the_target_of_a_stack_is_for_64_members(
    load: Callable[[str], ModuleType], members: int, met: list[bool]
) -> None:
    targets = load("stacked").targets_of([{"members": members, "alone": [100.0], "stacked": [500.0]}])
    assert [target["met"] for target in targets] == met


def test_fused_layers_are_measured_beside_plain_ones(
    run_script: Script, load: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    few = ["--width", "0.1", "--steps", "2", "--rounds", "2", "--batch-size", "8", "--json", str(path)]
    load("branches").main(few)
    results = json.loads(path.read_text())
    assert [row["net"] for row in results["rows"]] == ["resnet20", "mobile"]
    assert all(len(row["ratios"]) == 2 and row["loss_difference"] < 1e-3 for row in results["rows"])
    assert capsys.readouterr().out.count("ratio") == 2


def test_a_network_that_is_no_preset_is_rejected(load: Callable[[str], ModuleType], run_script: Script) -> None:
    with pytest.raises(SystemExit, match="--nets: got resnt20, must be mobile or a preset in conf/model"):
        load("branches").main(["--nets", "resnt20"])
