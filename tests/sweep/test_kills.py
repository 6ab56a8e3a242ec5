"""Processes of a sweep are killed or interrupted, and the sweep is resumed.

python -m pytest -m sweep
"""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.mlflow_server import check_all_is_recorded
from tests.support.processes import start, wait_until
from tests.support.sweeps import (
    PATIENCE,
    STORE_ONLY,
    UNTRACKED,
    database_of,
    epochs_logged,
    finish,
    is_gone,
    record_of,
    results_of,
    states_of,
    sweep_folder,
    table_of,
    train_sweep,
    wait_for_epochs,
    workers_of,
)

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


# Killed workers


def kill_a_worker(workspace: Path, retries: int) -> tuple[int, str]:
    """Train three runs and kill a worker at a random moment; returns the exit status and the output."""
    chance = random.Random(retries)
    process = start(*UNTRACKED, "trainer.epochs=40", "seed=1,2,3", f"sweep.retries={retries}", cwd=workspace)
    wait_for_epochs(workspace, 2)
    time.sleep(chance.uniform(0, 2))
    os.kill(chance.choice(workers_of(process)), signal.SIGKILL)
    status, output, _ = finish(process)
    assert "was killed by SIGKILL" in output
    return status, output


def test_a_killed_worker_fails_only_its_run(workspace: Path) -> None:
    status, _ = kill_a_worker(workspace, retries=0)
    assert status == 1
    assert sorted(row["state"] for row in table_of(workspace).values()) == ["FAILED", "FINISHED", "FINISHED"]
    assert sorted(states_of(workspace).values()) == ["FAILED", "FINISHED", "FINISHED"]


def test_a_run_whose_worker_was_killed_is_tried_again(workspace: Path) -> None:
    status, output = kill_a_worker(workspace, retries=1)
    assert status == 0, output
    assert "trying again" in output and "attempt 2" in output
    assert {result["epochs_trained"] for result in results_of(workspace).values()} == {40}
    assert set(states_of(workspace).values()) == {"FINISHED"}


# A killed parent


@dataclass(frozen=True)
class Story:
    """A sweep that was ended early, then resumed: what it printed and left before and after."""

    workspace: Path
    output: str
    before: dict[int, dict[str, Any]]  # results by number
    epochs_before: dict[int, int]
    record_before: dict[str, Any]
    changed: set[int]  # runs that had finished, and whose result was written again
    resumed: "subprocess.CompletedProcess[str]"

    @property
    def finished_before(self) -> set[int]:
        return {number for number, result in self.before.items() if result["state"] == "FINISHED"}


def modified(workspace: Path, number: int) -> int:
    return (sweep_folder(workspace) / str(number) / "result.json").stat().st_mtime_ns


def resume(workspace: Path, output: str) -> Story:
    before, epochs, record = results_of(workspace), epochs_logged(workspace), record_of(workspace)
    stamps = {number: modified(workspace, number) for number, result in before.items() if result["state"] == "FINISHED"}
    resumed = train_sweep(workspace, "resume=last")
    changed = {number for number, stamp in stamps.items() if modified(workspace, number) != stamp}
    return Story(workspace, output, before, epochs, record, changed, resumed)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Ten runs of four epochs; the parent process is killed during the sixth."""
    workspace = tmp_path_factory.mktemp("killed")
    process = start(*STORE_ONLY, "trainer.epochs=4", "seed=range(1,11)", cwd=workspace)
    wait_until(lambda: epochs_logged(workspace).get(5, 0) >= 1, PATIENCE)
    workers = workers_of(process)
    process.kill()
    output, _ = process.communicate()
    wait_until(lambda: all(map(is_gone, workers)), 10)  # workers end with their parent
    return resume(workspace, output)


def test_a_killed_sweep_has_a_result_of_every_run_that_began(killed: Story) -> None:
    assert 2 <= len(killed.finished_before) <= 6
    assert "RUNNING" in {result["state"] for result in killed.before.values()}


def test_a_killed_sweep_resumes_with_the_unfinished_runs(killed: Story) -> None:
    assert killed.resumed.returncode == 0, killed.resumed.stderr
    finished = len(killed.finished_before)
    assert f"10 runs of 1 variant: {10 - finished} to train, {finished} already trained" in killed.resumed.stdout
    assert states_of(killed.workspace) == dict.fromkeys(range(10), "FINISHED")
    assert [results_of(killed.workspace)[number]["seed"] for number in range(10)] == list(range(1, 11))


def test_runs_that_finished_before_the_kill_are_left_alone(killed: Story) -> None:
    assert len(killed.changed) <= 1  # the best run gets its figures


def test_a_killed_sweep_repeats_at_most_the_epochs_that_were_being_trained(killed: Story) -> None:
    assert sum(result["epochs_trained"] for result in results_of(killed.workspace).values()) == 40
    # Each of the two workers was killed in an epoch, which it trained again or had saved but not yet logged.
    assert 38 <= sum(epochs_logged(killed.workspace).values()) <= 42


def test_a_killed_sweep_continues_its_mlflow_runs(killed: Story) -> None:
    results = results_of(killed.workspace)
    for number, result in killed.before.items():
        assert results[number]["run_id"] == result["run_id"]
    check_all_is_recorded(database_of(killed.workspace), killed.workspace, runs=10, epochs=4)


# Ctrl-C and SIGTERM


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Three runs of 40 epochs, interrupted once after two epochs."""
    workspace = tmp_path_factory.mktemp("interrupted")
    process = start(*STORE_ONLY, "trainer.epochs=40", "seed=1,2,3", cwd=workspace)
    wait_for_epochs(workspace, 2)
    process.send_signal(signal.SIGINT)
    status, output, _ = finish(process)
    assert status == 130
    return resume(workspace, output)


def test_ctrl_c_stops_each_run_after_its_epoch(interrupted: Story) -> None:
    assert "stopping after the current epoch of each run" in interrupted.output
    kept = {number: result["epochs_trained"] for number, result in interrupted.before.items()}
    assert kept == interrupted.epochs_before  # no trained epoch is lost


def test_ctrl_c_is_recorded(interrupted: Story) -> None:
    assert interrupted.record_before["state"] == "KILLED"
    states = {(result["state"], result["reason"]) for result in interrupted.before.values()}
    assert states == {("KILLED", "interrupted")}


def test_an_interrupted_sweep_prints_how_to_resume_it(interrupted: Story) -> None:
    assert f"python -m archsearch -m resume={sweep_folder(interrupted.workspace).name}" in interrupted.output


def test_an_interrupted_sweep_repeats_no_epoch(interrupted: Story) -> None:
    assert interrupted.resumed.returncode == 0, interrupted.resumed.stderr
    assert epochs_logged(interrupted.workspace) == dict.fromkeys(range(3), 40)


def test_ctrl_c_marks_the_sweeps_mlflow_run_as_killed(workspace: Path) -> None:
    from mlflow import MlflowClient

    process = start(*STORE_ONLY, "trainer.epochs=40", "seed=1", cwd=workspace)
    wait_for_epochs(workspace, 1)
    process.send_signal(signal.SIGINT)
    finish(process)
    client = MlflowClient(database_of(workspace))
    assert client.get_run(record_of(workspace)["tracking"]["run_id"]).info.status == "KILLED"


def test_ctrl_c_twice_stops_at_once(workspace: Path) -> None:
    slow = ("data=digits", "tracking=none", "trainer.epochs=3", "model.width=6", "trainer.batch_size=400")
    process = start("-m", *slow, "seed=1,2", cwd=workspace)
    wait_until(lambda: len(states_of(workspace)) == 2, PATIENCE)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    status, output, _ = finish(process)
    assert time.monotonic() - began < 20
    assert status == 130 and "stopping at once" in output
    assert set(states_of(workspace).values()) == {"KILLED"}
    assert not any(epochs_logged(workspace).values())


def test_sigterm_stops_at_once(workspace: Path) -> None:
    process = start(*UNTRACKED, "trainer.epochs=40", "seed=1,2,3", cwd=workspace)
    wait_for_epochs(workspace, 1)
    process.terminate()
    status, output, _ = finish(process)
    assert status == 143 and "-m resume=" in output
    assert set(states_of(workspace).values()) == {"KILLED"}
