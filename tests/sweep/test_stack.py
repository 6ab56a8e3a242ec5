"""Sweeps that train several runs as one network: which runs do, and that each has what it would have alone."""

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from archsearch.config.settings import SweepSettings
from archsearch.runs import folder as run_folder
from archsearch.runs.prepare import PreparedRun, prepare
from archsearch.runs.train import train_run
from archsearch.sweep.launcher import teams_of, why_alone
from archsearch.sweep.worker import Job
from archsearch.tracking.store import open_experiment, resolve_store
from tests.support.processes import Cli, start, wait_until
from tests.support.requests import QUICK, ask
from tests.support.sweeps import (
    TINY,
    TrainedSweep,
    epochs_logged,
    results_of,
    states_of,
    table_of,
    train_sweep,
    workers_of,
)

STACKED = (*TINY, "model.dropout=0", "sweep.workers=1", "sweep.stack=8")
# Small rates, at which rounding errors grow slowly, and no channels_last, in which torch's batch norm rounds more.
RATES = (0.002, 0.001)
RECIPE = ("trainer.epochs=2", "trainer.channels_last=false")


# Teams


@pytest.fixture(scope="module")
def runs() -> list[PreparedRun]:
    """Runs 0, 3, 5 and 6 can be stacked, and so can 1 and 4; run 2 has a checkpoint."""

    def prepared(*overrides: str) -> PreparedRun:
        return prepare(ask(*QUICK, "tracking=none", *overrides))

    plain, other = prepared("seed=1"), prepared("seed=2", "model.dropout=0.2", "optimizer.lr=0.01")
    wider, begun = prepared("model.width=0.5"), replace(plain, resumed=Path("x"))
    return [plain, wider, begun, other, wider, other, plain]


def test_a_sweep_says_why_no_run_is_stacked(runs: list[PreparedRun]) -> None:
    def reason(settings: SweepSettings, numbers: list[int]) -> str | None:
        jobs = [Job(number, runs[number], Path(str(number))) for number in numbers]
        return why_alone(teams_of(jobs, settings), settings)

    stack = SweepSettings(stack=8)
    assert reason(stack, [0, 3]) is None and reason(SweepSettings(), [0, 1]) is None
    assert "must have the same out_channels in conv1.conv, but have" in (reason(stack, [0, 1]) or "")
    assert "sweep.time_limit" in (reason(SweepSettings(stack=8, time_limit=9), [0, 3]) or "")
    assert "from a checkpoint" in (reason(stack, [0, 2]) or "")


def teams(settings: SweepSettings, runs: list[PreparedRun]) -> list[list[int]]:
    jobs = [Job(number, run, Path(str(number))) for number, run in enumerate(runs)]
    return [[job.number for job in team] for team in teams_of(jobs, settings)]


@pytest.mark.parametrize(("stack", "expected"), [(3, [[0, 3, 5], [1, 4], [2], [6]]), (9, [[0, 3, 5, 6], [1, 4], [2]])])
def test_similar_runs_are_stacked(runs: list[PreparedRun], stack: int, expected: list[list[int]]) -> None:
    assert teams(SweepSettings(stack=stack), runs) == expected


def test_a_run_that_has_begun_goes_on_alone(runs: list[PreparedRun]) -> None:
    plain, begun = runs[0], runs[2]
    assert teams(SweepSettings(stack=2), [begun, plain, plain]) == [[0], [1, 2]]


@pytest.mark.parametrize("settings", [SweepSettings(), SweepSettings(stack=9, time_limit=60.0)])
def test_without_a_stack_or_with_a_time_limit_each_run_trains_alone(
    runs: list[PreparedRun], settings: SweepSettings
) -> None:
    assert teams(settings, runs) == [[number] for number in range(len(runs))]


# A trained stack of six runs, of which numbers 2 and 5 diverge


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> TrainedSweep:
    workspace = tmp_path_factory.mktemp("stacked")
    rates = ",".join(map(str, (*RATES, 1e18)))
    return TrainedSweep(workspace, train_sweep(workspace, *STACKED, *RECIPE, "seed=1,2", f"optimizer.lr={rates}"))


@pytest.fixture(scope="module")
def results(stacked: TrainedSweep) -> dict[int, dict[str, Any]]:
    return results_of(stacked.workspace)


@pytest.mark.e2e
def test_a_member_that_diverges_fails_alone(stacked: TrainedSweep, results: dict[int, dict[str, Any]]) -> None:
    assert stacked.done.returncode == 1
    assert [results[number]["state"] for number in range(6)] == ["FINISHED", "FINISHED", "FAILED"] * 2
    assert "the training loss became" in results[2]["reason"] and results[5]["final"] is None


@pytest.mark.e2e
def test_results_say_how_many_runs_were_stacked(results: dict[int, dict[str, Any]]) -> None:
    assert {result["stack"] for result in results.values()} == {6}


@pytest.mark.e2e
@pytest.mark.parametrize("number", [0, 4])
def test_a_member_trains_as_it_would_alone(results: dict[int, dict[str, Any]], tmp_path: Path, number: int) -> None:
    """Up to rounding; tests/training compare in double precision, to ten digits."""
    settings = (f"seed={results[number]['seed']}", f"optimizer.lr={RATES[number % 3]}")
    alone = train_run(prepare(ask(*TINY, "model.dropout=0", *RECIPE, *settings, "tracking=none")), tmp_path).as_dict()
    assert alone["stack"] is None
    losses = [epoch["train/loss"] for epoch in results[number]["history"]]
    assert losses == pytest.approx([epoch["train/loss"] for epoch in alone["history"]], rel=0.005)


@pytest.mark.e2e
def test_a_member_has_its_own_checkpoint_and_predictions(
    stacked: TrainedSweep, results: dict[int, dict[str, Any]]
) -> None:
    for number in (0, 1, 3, 4):
        assert results[number]["epochs_trained"] == 2 and results[number]["tracking"]["complete"]
        assert (stacked.folder / str(number) / run_folder.CHECKPOINT).exists()
        assert (stacked.folder / str(number) / run_folder.PREDICTIONS).exists()


@pytest.mark.e2e
def test_the_log_of_a_stack_is_in_the_folder_of_its_first_member(stacked: TrainedSweep) -> None:
    logs = [(stacked.folder / str(number) / "archsearch.log").read_text() for number in range(6)]
    assert sum("trained as one network with other runs" in log for log in logs) == 5


@pytest.mark.e2e
def test_each_member_is_recorded_as_a_run(stacked: TrainedSweep, results: dict[int, dict[str, Any]]) -> None:
    client, experiment_id = open_experiment(resolve_store(None, stacked.workspace / "outputs"), "archsearch")
    recorded: dict[str, Run] = {run.info.run_id: run for run in client.search_runs([experiment_id])}
    for result in results.values():
        run = recorded[result["run_id"]]
        assert run.info.status == result["state"]
        assert run.data.metrics.get("test/accuracy") == (result["final"] or {}).get("test/accuracy")


@pytest.mark.e2e
def test_the_best_member_has_figures(stacked: TrainedSweep, results: dict[int, dict[str, Any]]) -> None:
    """They need its checkpoint in a trainer of a single run."""
    best = max((0, 1, 3, 4), key=lambda number: results[number]["final"]["val/accuracy"])
    assert (stacked.folder / str(best) / run_folder.MISTAKES).exists()


# Faults


def start_stack(workspace: Path) -> "subprocess.Popen[str]":
    """Start three stacked runs of 12 epochs, and wait until each has trained two."""
    process = start("-m", *STACKED, "trainer.epochs=12", "seed=1,2,3", cwd=workspace)
    wait_until(lambda: _fewest_epochs(workspace) >= 2, 120)
    return process


def _fewest_epochs(workspace: Path) -> int:
    return min((result["epochs_trained"] for result in results_of(workspace).values()), default=0)


def check_all_finished(workspace: Path) -> None:
    """All runs have finished, and repeated at most the epoch that they were in."""
    assert set(states_of(workspace).values()) == {"FINISHED"}
    assert {(result["epochs_trained"], result["stack"]) for result in results_of(workspace).values()} == {(12, 3)}
    assert sum(epochs_logged(workspace).values()) <= 3 * 12 + 3
    assert all(row["state"] == "FINISHED" for row in table_of(workspace).values())


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_members_of_a_killed_stack_go_on_alone(workspace: Path) -> None:
    process = start_stack(workspace)
    os.kill(random.Random(0).choice(workers_of(process)), signal.SIGKILL)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0 and "Traceback" not in output + errors
    assert "was killed by SIGKILL" in output and "trying again" in output
    check_all_finished(workspace)


@pytest.mark.sweep
def test_members_of_an_interrupted_stack_go_on_alone(workspace: Path, cli: Cli) -> None:
    process = start_stack(workspace)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 130 and "Traceback" not in output + errors
    assert set(states_of(workspace).values()) == {"KILLED"}
    assert cli("-m", "resume=last").returncode == 0
    check_all_finished(workspace)
