"""Searches that are killed and go on. They start and kill processes: python -m pytest -m sweep."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import pytest

from tests.support.mlflow_server import MlflowServer
from tests.support.processes import Cli, small_disk, start, wait_until
from tests.support.sweeps import TINY, epochs_logged, finish, results_of, sweep_folder, wait_for_epochs, workers_of

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TRIALS = 9
SEARCH = (
    "-m", "hydra/sweeper=search", *TINY, "tracking=none", "trainer.epochs=4", "search.min_epochs=2",
    "model.dropout=interval(0,0.3)", "model.head.type=linear,gap", f"search.budget.trials={TRIALS}",
    "search.finalists=1", "search.finalist_seeds=2",
)  # fmt: skip


def begin(workspace: Path, *arguments: str) -> "Popen[str]":
    """A search that runs beside the test, and has trained three epochs."""
    process = start(*SEARCH, *arguments, cwd=workspace)
    wait_for_epochs(workspace, 3)
    return process


def kill_everything(process: "Popen[str]") -> None:
    for pid in [process.pid, *workers_of(process)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def trials_of(workspace: Path) -> dict[int, dict[str, Any]]:
    """`result.json` of each trial by number; those of finalists lie deeper."""
    return results_of(workspace)


def check_complete(workspace: Path, trials: int = TRIALS) -> None:
    """Trials are stopped or trained, no epoch was trained twice, and only finalists have read the test set."""
    results = trials_of(workspace)
    assert len(results) == trials
    states = [result["state"] for result in results.values()]
    assert set(states) <= {"STOPPED", "FINISHED"} and "FINISHED" in states
    logged = epochs_logged(workspace)
    for number, result in results.items():
        assert logged[number] <= result["epochs_trained"] + 1, number  # an epoch that was killed is trained again
        assert result["epochs_trained"] in (2, 4), number
        assert "test/accuracy" not in result["final"]
    finalists = [json.loads(path.read_text()) for path in sweep_folder(workspace).glob("finalists/*/result.json")]
    assert [result["state"] for result in finalists] == ["FINISHED"] * 2
    assert all("test/accuracy" in result["final"] for result in finalists)
    assert len({result["seed"] for result in finalists} | {result["seed"] for result in results.values()}) == 3


def resume(cli: Cli, *arguments: str) -> "CompletedProcess[str]":
    return cli("-m", "resume=last", *arguments)


def test_a_search_whose_processes_are_all_killed_goes_on_with_its_settings_only(workspace: Path, cli: Cli) -> None:
    kill_everything(begin(workspace))
    before, folder = trials_of(workspace), sweep_folder(workspace)
    configuration = (folder / "multirun.yaml").read_text()
    refused = cli(*SEARCH, "optimizer.momentum=0.5", "resume=last")
    assert refused.returncode == 2 and "optimizer.momentum is 0.5, was 0.9" in refused.stderr
    assert (folder / "multirun.yaml").read_text() == configuration and trials_of(workspace) == before
    done = resume(cli)
    assert done.returncode == 0, done.stdout + done.stderr
    check_complete(workspace)
    after = trials_of(workspace)
    assert all(after[number]["params"] == result["params"] for number, result in before.items())


def test_after_ctrl_c_it_goes_on_to_a_larger_budget(workspace: Path, cli: Cli) -> None:
    process = begin(workspace)
    process.send_signal(signal.SIGINT)
    status, output, errors = finish(process)
    assert status == 130 and "resume   python -m archsearch -m resume=" in output + errors
    done = resume(cli, f"search.budget.trials={TRIALS + 2}")
    assert done.returncode == 0, done.stdout + done.stderr
    check_complete(workspace, TRIALS + 2)
    overrides = json.loads((sweep_folder(workspace) / "sweep.json").read_text())["overrides"]
    assert [word for word in overrides if "budget" in word] == [f"search.budget.trials={TRIALS + 2}"]


def test_a_killed_worker_costs_an_attempt_and_killed_finalists_are_trained_later(workspace: Path, cli: Cli) -> None:
    process = begin(workspace)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    folder = sweep_folder(workspace) / "finalists"
    wait_until(lambda: any(folder.glob("*/checkpoint.pt")), 240)
    assert "FAILED" not in {result["state"] for result in trials_of(workspace).values()}
    kill_everything(process)
    done = resume(cli)
    assert done.returncode == 0, done.stdout + done.stderr
    check_complete(workspace)


def test_on_a_full_disk_it_stops_and_no_trial_has_failed(workspace: Path, cli: Cli) -> None:
    sweeps = workspace / "outputs" / "sweeps"
    with small_disk(sweeps, "400k"):
        done = cli(*SEARCH, "sweep.workers=1", "hydra.sweep.dir=outputs/sweeps/full")
        assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
        rule = "the disk is full; nothing is lost: free some space, then go on with resume=full"
        assert rule in done.stderr and "FAILED" not in done.stdout + done.stderr
        subprocess.run(["mount", "-o", "remount,size=10m", str(sweeps)], check=True)
        done = resume(cli)
        assert done.returncode == 0, done.stdout + done.stderr
        check_complete(workspace)


@pytest.mark.slow  # it waits a minute for the server
def test_what_mlflow_has_missed_is_sent_when_the_search_is_resumed(workspace: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server", f"sqlite:///{tmp_path}/server/server.db")
    process = begin(workspace, "tracking=mlflow", f"tracking.uri={server.uri}", "search.finalists=0")
    server.kill()
    status, output, _ = finish(process)
    results = trials_of(workspace)
    assert status == 0 and "MLflow is missing some results" in output and len(results) == TRIALS
    assert not all(result["tracking"]["complete"] for result in results.values())
    server.start()
    try:
        done = cli("-m", "resume=last", "search.finalists=0")
        assert done.returncode == 0 and "MLflow is missing" not in done.stdout, done.stderr
        runs = {run.info.run_id: run for run in all_runs(server.uri)}
        for number, result in trials_of(workspace).items():
            assert result["tracking"]["complete"] and result["history"] == results[number]["history"]
            run = runs[result["run_id"]]
            assert run.data.tags["state"] == result["state"]
            assert run.data.metrics["val/accuracy"] == result["final"]["val/accuracy"]
        assert len(runs) == TRIALS + 1  # with the search's own: none was begun twice
    finally:
        server.kill()


def all_runs(uri: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    return list(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))
