"""The scripts start and run: each on its own, those that are quick in this process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from archsearch.data.catalogue import DATASETS
from archsearch.data.files import read_files
from tests.support.processes import REPOSITORY

SCRIPTS = (
    "branches", "generated_sets", "gpu_epoch", "inference", "overhead", "plots", "png_folder", "report_scale", "speed",
    "stacked", "startup", "sweep_overhead", "time_to_accuracy", "verdicts",
)  # fmt: skip
Load = Callable[[str], ModuleType]


def run(folder: Path, script: str, *arguments: str, **variables: str) -> str:
    """The output of `python benchmarks/SCRIPT.py ARGUMENTS`."""
    command = [sys.executable, str(REPOSITORY / "benchmarks" / f"{script}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_explains_itself(script: str, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    module = load(script)
    with pytest.raises(SystemExit, match="0"):
        module.main(["--help"])
    assert (module.__doc__ or "").splitlines()[0] in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn", "emnist_balanced", "emnist_letters"])
def test_generated_sets_are_read_from_their_files(name: str, load: Load, tmp_path: Path) -> None:
    info = DATASETS[name]
    assert info.files is not None
    info = replace(info, train_images=200, test_images=40, files=replace(info.files, checksums={}))
    load("generated_sets").write(info, info.files, tmp_path)
    images, labels, _, test_labels = read_files(info, tmp_path)
    assert set(labels) == set(range(len(info.classes))) and images.shape == (200, *info.shape)
    picture = next((tmp_path / f"{name}-png").glob("*-0.png"))
    assert picture.name == f"{info.classes[test_labels[0]]}-0.png"


def test_simulated_verdicts_are_tabulated(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    load("verdicts").main(["--studies", "10"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "identical variants: called different, % of 10 studies"
    assert lines[2].split("  ")[-1].strip() == "better mean"
    assert len([line for line in lines if line.strip()[:1].isdigit()]) == 2 * 6 + 3


def test_the_published_results_are_drawn(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("plots").main(["--into", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speed-accuracy.png", "speed-images.png"]
    assert "SKIPPED" not in capsys.readouterr().out


def test_missing_results_are_not_drawn(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("plots").main(["--results", str(tmp_path), "--into", str(tmp_path)])
    assert capsys.readouterr().out.count("SKIPPED") == 2 and not list(tmp_path.iterdir())


@pytest.mark.e2e
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_starts_by_itself(script: str, tmp_path: Path) -> None:
    assert run(tmp_path, script, "--help").startswith(f"usage: {script}.py")


@pytest.mark.slow
def test_a_report_over_generated_runs_is_measured(tmp_path: Path) -> None:
    output = run(tmp_path, "report_scale", "--runs", "10", "--epochs", "2")
    assert output.count("10 runs") == 3


@pytest.mark.e2e
def test_a_configuration_is_composed_by_the_command_itself(load: Load) -> None:
    assert load("checkout").composed_config("trainer.epochs=3", "data=mnist")["trainer"]["epochs"] == 3


@pytest.mark.e2e
def test_a_command_that_fails_ends_the_benchmark_with_its_message(load: Load, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"exit status 2\n.*did you mean epochs"):
        load("checkout").run_module(["archsearch", "trainer.epocs=3"], tmp_path)


@pytest.mark.e2e
def test_a_command_is_timed_and_its_memory_is_measured(load: Load, tmp_path: Path) -> None:
    completed = load("checkout").run_module(["timeit", "-n1", "-r1"], tmp_path)
    assert "1 loop" in completed.output and 0 < completed.seconds < 30
    assert completed.peak_rss > 2**20


@pytest.mark.e2e
def test_archsearch_trains_the_images_and_epochs_of_the_other_candidates(load: Load) -> None:
    options = load("candidates.reference").arguments(["--root", "folder", "--images", "1280", "--epochs", "3"])
    config = load("checkout").composed_config(*load("candidates.archsearch_run").recipe(options))
    assert config["data"]["name"] == "mnist" and config["data"]["validation"] == 60_000 - 1280
    assert config["trainer"]["epochs"] == 3


@pytest.mark.e2e
def test_a_trial_of_the_plain_loop_writes_its_rates(mnist_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "trial.json"
    few = ["--rounds", "1", "--epochs", "1", "--images", "1280", "--output", str(path)]
    run(tmp_path, "speed", "--candidates", "loop", *few, ARCHSEARCH_DATA=str(mnist_root.resolve()))
    results = json.loads(path.read_text())
    assert results["summary"]["loop"]["images_per_second"]["n"] == 1 and results["targets"] == []


@pytest.mark.e2e
def test_each_layer_is_timed_with_the_layer_in_its_place(tmp_path: Path) -> None:
    lines = run(tmp_path, "inference", "--images", "10", "--rounds", "1").splitlines()
    assert sum(line.startswith("Conv2d") for line in lines) == 7
    assert [len(line.split()) for line in lines if line.startswith(("ReLU", "AvgPool2d", "all"))] == [4] * 9 + [3]


@pytest.mark.slow
def test_a_trial_of_the_overhead_writes_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "trial.json"
    run(tmp_path, "overhead", "--rounds", "1", "--words", "data=digits", "--output", str(path))
    assert json.loads(path.read_text())["added"]["percent"]["n"] == 1
