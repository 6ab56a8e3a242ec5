"""What the benchmarks do with numbers; the candidates are fakes, and no rival is needed."""

import importlib
import json
import math
import sys
from argparse import ArgumentParser
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from archsearch.training.metrics import EpochMetrics, Score
from tests.support.processes import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are in the repository only", allow_module_level=True)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks, which are scripts and no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def runner(load: Any) -> ModuleType:
    return load("runner")  # type: ignore[no-any-return]


def fake(runner: ModuleType, folder: Path, name: str, code: str, **more: Any) -> Any:
    """A candidate that notes its turn in `folder`/turns, then runs `code`, which knows its `number`."""
    script = folder / f"{name}.py"
    turn = f"open({str(folder / 'turns')!r}, 'a').write({name!r} + sys.argv[1] + ' ')"
    script.write_text(f"import json, os, sys, time\nnumber = int(sys.argv[1])\n{turn}\n{code}\n")
    return runner.Candidate(name, [sys.executable, "-S", str(script), "{round}"], **more)


def table_of(runner: ModuleType, **rows: list[dict[str, Any]]) -> Any:
    return runner.Table(rows)


def test_candidates_take_turns_in_fresh_processes(runner: ModuleType, tmp_path: Path) -> None:
    code = "print('chatter'); print(json.dumps({'pid': os.getpid(), 'speed': 10.0 * number}))"
    said: list[str] = []
    candidates = [fake(runner, tmp_path, name, code) for name in "ab"]
    table = runner.alternate(candidates, 2, warm_up=True, show=said.append)
    assert (tmp_path / "turns").read_text().split() == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert table.values("a", "speed") == [10.0, 20.0]  # the warm-up is not among them
    assert len({row["pid"] for rows in table.rows.values() for row in rows}) == 4
    assert all(row["seconds"] > 0 for row in table.rows["b"])
    assert len(said) == 4 and said[0].startswith("round 1: a:")


def test_a_candidate_knows_when_it_was_started(runner: ModuleType, tmp_path: Path) -> None:
    code = f"print(json.dumps({{'since': time.time() - float(os.environ[{runner.BEGAN!r}])}}))"
    table = runner.alternate([fake(runner, tmp_path, "a", code)], 1)
    assert 0 <= table.rows["a"][0]["since"] < 10


def test_what_is_not_installed_is_skipped_loudly(runner: ModuleType, tmp_path: Path) -> None:
    said: list[str] = []
    missing = fake(
        runner, tmp_path, "rival", f"sys.exit(print('rival is missing', file=sys.stderr) or {runner.SKIPPED})"
    )
    there = fake(runner, tmp_path, "base", "print('{}')")
    table = runner.alternate([missing, there], 2, show=said.append)
    assert table.skipped == {"rival": "rival is missing"} and list(table.rows) == ["base"]
    assert "SKIPPED rival: rival is missing" in said
    assert (tmp_path / "turns").read_text().split() == ["rival1", "base1", "base2"]


@pytest.mark.parametrize(
    ("code", "complaint"),
    [("raise ValueError('broken')", "exit status 1(.|\n)*broken"), ("print('done')", "not JSON"), ("", "not JSON"),
     ("print('[1]')", "no JSON object")],
)  # fmt: skip
def test_a_candidate_that_fails_ends_the_benchmark(
    runner: ModuleType, tmp_path: Path, code: str, complaint: str
) -> None:
    with pytest.raises(runner.BenchmarkError, match=f"a: .*{complaint}"):
        runner.alternate([fake(runner, tmp_path, "a", code)], 1)


def test_a_command_may_be_meant_to_fail(runner: ModuleType, tmp_path: Path) -> None:
    candidate = fake(runner, tmp_path, "a", "sys.exit(2)", read=lambda done: {}, status=2)
    assert runner.alternate([candidate], 1).rows["a"][0]["seconds"] > 0


def test_ratios_are_of_a_round_and_then_their_median(runner: ModuleType) -> None:
    """Here the machine became ten times slower in the last two rounds: of medians the ratio would be 20."""
    table = table_of(runner, base=[{"v": 1000}, {"v": 100}, {"v": 100}], a=[{"v": 2000}, {"v": 200}, {"v": 300}])
    assert table.ratios("a", "base", "v") == [2.0, 2.0, 3.0]
    assert runner.spread(table.ratios("a", "base", "v")) == {"median": 2.0, "min": 2.0, "max": 3.0, "n": 3}
    assert runner.show_spread(runner.spread([1.0, 4.0])) == "2.50 (1.00 to 4.00)"


def test_candidates_that_agree(runner: ModuleType) -> None:
    table = table_of(
        runner,
        base=[{"params": 5, "accuracy": 98.0}, {"params": 5, "accuracy": 98.4}],
        a=[{"params": 5, "accuracy": 98.6}, {"params": 5, "accuracy": 98.2}],
    )
    largest = runner.require_same(table, "base", ["params"], {"accuracy": 0.3})
    assert largest["accuracy"] == pytest.approx(0.2)


def test_candidates_that_disagree(runner: ModuleType) -> None:
    table = table_of(
        runner,
        base=[{"params": 5, "images": 10, "accuracy": 98.0}] * 2,
        a=[{"params": 5, "images": 10, "accuracy": 97.5}] * 2,
        b=[{"params": 5, "images": 10, "accuracy": 98.0}, {"params": 6, "images": 10, "accuracy": 98.0}],
        c=[{"params": 5, "accuracy": math.nan}] * 2,
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


def test_results_appear_by_rename(runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results" / "speed.json"
    renamed = []
    replace = Path.replace

    def noted(old: Path, new: Path) -> Path:
        renamed.append(new)
        return replace(old, new)

    monkeypatch.setattr(Path, "replace", noted)
    table = table_of(runner, a=[{"v": 1.0, "backend": "torch"}, {"v": 3.0, "backend": "torch"}])
    runner.write_results(path, {"rounds": 2}, table, ["v", "w"], ratios={"a": 1})
    assert renamed == [path] and list(path.parent.iterdir()) == [path]
    content = json.loads(path.read_text())
    assert content["summary"] == {"a": {"v": {"median": 2.0, "min": 1.0, "max": 3.0, "n": 2}}}
    assert content["rounds"] == table.rows and content["ratios"] == {"a": 1} and content["benchmark"] == "speed"
    assert content["machine"]["cores"] >= 1 and content["machine"]["processor"]
    assert {"versions.torch", "versions.python", "archsearch.version", "commit"} <= set(content["code"])
    assert str(REPOSITORY) not in path.read_text()

    with pytest.raises(ValueError, match="not JSON compliant"):  # what stands there stays
        runner.write_results(path, {}, table_of(runner, a=[{"v": math.inf}]), [])
    assert json.loads(path.read_text()) == content


def test_targets(runner: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.target("faster", 1.8, 1.7, at_least=True)["met"] and not runner.target("added", 2.1, 2.0)["met"]
    assert capsys.readouterr().out.splitlines() == [
        "met     faster: 1.80, wanted at least 1.7",
        "MISSED  added: 2.10, wanted at most 2",
    ]


@pytest.fixture
def history() -> list[EpochMetrics]:
    """Two epochs of 300 images in batches of 128: from 10 to 16 and from 16.5 to 20.5 seconds after the command."""
    score, train = Score(0.1, 90, 100), Score(0.1, 250, 300)
    return [
        EpochMetrics(1, train, score, None, 0.01, 5.0, 1_016_000, 1.0),
        EpochMetrics(2, train, score, None, 0.01, 3.0, 1_020_500, 1.0),
    ]


def test_where_the_time_of_a_run_went(load: Any, history: list[EpochMetrics]) -> None:
    row = load("candidates.command").timing(history, began=1000.0, ended=1024.0, batch_size=128)
    assert row["images_per_second"] == 600 / 8 and row["evaluation_images_per_second"] == 200 / 2
    assert row["seconds_to_first_epoch"] == 10 and row["seconds_after_last_epoch"] == 3.5
    assert row["seconds_between_epochs"] == 0.5
    assert row["seconds_to_first_step"] == pytest.approx(10 + 5 / 3)  # three steps an epoch
    assert row["train_images"] == 300 and row["test_images"] == 100 and row["images_trained"] == 600


def test_a_sweep_adds_up_the_rates_of_its_workers(load: Any, history: list[EpochMetrics]) -> None:
    command = load("candidates.command")
    rows = [
        {**command.timing(history, 1000.0 - later, 1024.0, 128), "test_accuracy": accuracy, "params": 7, "seed": later}
        for later, accuracy in ((0, 98.0), (1, 99.0))
    ]
    row = command.together(rows)
    assert row["images_per_second"] == 150 and row["evaluation_images_per_second"] == 200
    assert row["images_trained"] == 1200 and row["train_images"] == 300 and row["workers"] == 2
    assert row["test_accuracy"] == 98.5 and row["seed"] == [0, 1]
    assert row["seconds_to_first_step"] == rows[0]["seconds_to_first_step"]


def test_what_mlflow_adds_to_a_run_of_all_epochs(load: Any) -> None:
    parts = ("seconds_to_first_epoch", "seconds_between_epochs", "seconds_after_last_epoch")
    rest = {"evaluation_seconds": 6.0, "epochs": 2, "train_images": 50_000}
    bare, full = (
        {**dict(zip((*parts, "training_seconds"), values, strict=True)), **rest}
        for values in ((3.0, 0.1, 2.0, 70.0), (5.0, 0.5, 6.0, 73.0))
    )
    overhead = load("overhead")
    found = overhead.added(bare, full, epochs=8)
    assert (found["before"], found["during"], found["between"], found["after"]) == (2, 3, 4, 4)
    assert found["whole"] == 5 + 8 * 38 + 3 + 4 + 6 and found["percent"] == pytest.approx(100 * 13 / 322)
    assert overhead.added(bare, full, epochs=8, images=100_000)["whole"] == 322 + 8 * 38


def test_the_share_of_the_whole_reference(load: Any, runner: ModuleType) -> None:
    measured = load("time_to_accuracy")
    ours = [{"training_seconds": 190.0, "seconds": 200.0}, {"training_seconds": 95.0, "seconds": 120.0}]
    loop = [{"training_seconds": 50.0, "evaluation_seconds": 2.0}] * 2
    shares = measured.shares_of(runner.Table({"archsearch": ours, "loop_epoch": loop}))
    assert shares["training"]["values"] == [0.2, 0.1] and shares["training"]["median"] == pytest.approx(0.15)
    assert shares["whole"]["values"][0] == pytest.approx(200 / (19 * 52))
    assert measured.shares_of(runner.Table({"archsearch": ours, "loop_epoch": loop}), 30_000)["training"]["max"] == 0.1


def test_a_trial_does_not_take_the_place_of_a_result(runner: ModuleType) -> None:
    parser = ArgumentParser()
    assert runner.output_of(parser, None, "speed") == BENCHMARKS / "results" / "speed.json"
    with pytest.raises(SystemExit):
        runner.output_of(parser, None, "speed", trial=True)


@pytest.fixture
def few_images() -> Any:
    """What `resident.mnist` gives, of noise."""
    from archsearch.data.info import dataset_info
    from archsearch.data.load import Dataset

    images = np.random.default_rng(0).integers(256, size=(40, 1, 28, 28), dtype=np.uint8)
    labels = np.arange(40, dtype=np.uint8) % 10
    return Dataset(dataset_info("mnist"), images, labels, images, labels), False


# What is for a GPU is tried on the CPU, where a graph is no graph: what the scripts do and write can be seen there.


def test_the_ways_to_train_on_a_gpu_are_the_same_training(
    load: Any, few_images: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = load("gpu_epoch")
    monkeypatch.setattr(benchmark, "mnist", lambda: few_images)
    few = ["--device", "cpu", "--ways", "eager,graphs,stack", "--epochs", "2", "--rounds", "1", "--batch-size", "8"]
    benchmark.main([*few, "--dropout", "0", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["way"] for row in found["rows"]] == ["eager", "graphs", "stack"] and found["cuda"] is None
    assert len({row["test_accuracy"] for row in found["rows"]}) == 1
    assert found["targets"] == []  # of noise, nothing was wanted
    rows = [{"training": [2.0, 0.3, 0.2], "whole": 9.0, "seconds_to_99": seconds} for seconds in (None, 1.5)]
    assert [target["met"] for target in benchmark.targets_of(rows)] == [True, True, False]
    assert len(benchmark.targets_of(rows[:1])) == 2  # it never got there


def test_a_stack_is_measured_against_its_members_one_after_another(
    load: Any, few_images: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = load("stacked")
    monkeypatch.setattr(benchmark, "mnist", lambda: few_images)
    few = ["--device", "cpu", "--members", "1,2", "--steps", "2", "--rounds", "1", "--batch-size", "8"]
    benchmark.main([*few, "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["members"] for row in found["rows"]] == [1, 2] and found["loss_difference"] < 1e-3
    assert found["targets"] == []  # which are for 64
