"""Sweeps under faults: processes are killed, disks are full, stores go down.

python -m pytest -m sweep
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.mlflow_server import MlflowServer, check_all_is_recorded
from tests.support.processes import Cli, start, wait_until
from tests.support.sweeps import (
    TINY,
    epochs_logged,
    record_of,
    results_of,
    states_of,
    sweep_folder,
    table_of,
    train_sweep,
    workers_of,
)

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

UNTRACKED = ("-m", *TINY, "tracking=none")
STORE_ONLY = ("-m", *TINY, "tracking.log_model=false")
PATIENCE = 120.0  # seconds


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=240)
    assert "Traceback" not in output + errors
    return process.returncode, output, errors


def wait_for_epochs(workspace: Path, epochs: int) -> None:
    """Wait until all runs together have trained so many epochs."""
    wait_until(lambda: sum(epochs_logged(workspace).values()) >= epochs, PATIENCE)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def database_of(workspace: Path) -> str:
    return f"sqlite:///{workspace}/outputs/mlflow.db"


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
    assert 40 <= sum(epochs_logged(killed.workspace).values()) <= 42


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
    assert status == 130 and "-m resume=" in output
    assert set(states_of(workspace).values()) == {"KILLED"}


# Time limits


def test_a_run_that_takes_too_long_fails_alone(cli: Cli, workspace: Path) -> None:
    done = cli(*UNTRACKED, "trainer.epochs=2,500", "sweep.time_limit=8", "sweep.retries=3")
    assert done.returncode == 1
    assert states_of(workspace) == {0: "FINISHED", 1: "FAILED"}
    assert "took longer than sweep.time_limit (8 s), in epoch" in done.stdout
    assert "attempt 2" not in done.stdout  # it would take too long again


def test_a_run_that_hangs_is_killed(workspace: Path) -> None:
    """A stopped process cannot check the limit itself, so the pool does."""
    process = start(*UNTRACKED, "trainer.epochs=100", "seed=1,2", "sweep.time_limit=5", cwd=workspace)
    wait_until(lambda: len(states_of(workspace)) == 2, PATIENCE)
    stopped = workers_of(process)[0]
    os.kill(stopped, signal.SIGSTOP)
    status, output, _ = finish(process)
    assert status == 1
    assert "and was killed" in output and "in epoch" in output
    assert set(states_of(workspace).values()) == {"FAILED"} and is_gone(stopped)


# Two sweeps at the same time


def test_a_sweep_is_locked_while_it_trains(cli: Cli, workspace: Path) -> None:
    first = start(*UNTRACKED, "trainer.epochs=6", "seed=1,2", "hydra.sweep.dir=outputs/sweeps/both", cwd=workspace)
    wait_for_epochs(workspace, 1)
    second = cli("-m", "resume=both")
    assert second.returncode == 2 and "another process is working on the sweep" in second.stderr
    status, _, errors = finish(first)
    assert status == 0, errors
    assert epochs_logged(workspace) == {0: 6, 1: 6}


def test_two_sweeps_can_train_at_the_same_time(workspace: Path) -> None:
    processes = [start(*UNTRACKED, "trainer.epochs=1", "seed=1,2", cwd=workspace) for _ in range(2)]
    assert [finish(process)[0] for process in processes] == [0, 0]
    assert len(list(workspace.glob("outputs/sweeps/*/sweep.json"))) == 2


# Disks


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_reported_and_the_sweep_can_be_resumed(cli: Cli, workspace: Path) -> None:
    sweeps = workspace / "outputs" / "sweeps"
    with small_disk(sweeps, "300k"):
        words = ("trainer.epochs=2", "seed=range(1,9)", "sweep.workers=1", "hydra.sweep.dir=outputs/sweeps/full")
        done = cli(*UNTRACKED, *words)
        assert done.returncode in (1, 2), done.stderr
        assert "disk is full" in done.stdout and "Traceback" not in done.stdout + done.stderr
        assert "FINISHED" in states_of(workspace).values()
        (sweeps / "full" / "workers.log").unlink()
        subprocess.run(["mount", "-o", "remount,size=10m", str(sweeps)], check=True)
        again = cli("-m", "resume=full")
        assert again.returncode == 0, again.stderr
        assert states_of(workspace) == dict.fromkeys(range(8), "FINISHED")


def test_a_read_only_folder_is_refused_before_training(cli: Cli, workspace: Path) -> None:
    sweeps = workspace / "outputs" / "sweeps"
    with small_disk(sweeps, "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(sweeps)], check=True)
        done = cli(*UNTRACKED, "seed=1,2")
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "Read-only file system" in done.stderr and "hydra.sweep.dir=... puts a sweep elsewhere" in done.stderr


# Stores


def test_a_locked_sqlite_store_loses_nothing(workspace: Path) -> None:
    process = start(*STORE_ONLY, "trainer.epochs=3", "seed=range(1,7)", cwd=workspace)
    wait_for_epochs(workspace, 2)
    with closing(sqlite3.connect(workspace / "outputs" / "mlflow.db", timeout=30)) as database:
        database.execute("BEGIN IMMEDIATE")
        time.sleep(30)
        database.rollback()
    status, output, errors = finish(process)
    assert status == 0, output + errors
    check_all_is_recorded(database_of(workspace), workspace, runs=6, epochs=3)
    with closing(sqlite3.connect(workspace / "outputs" / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_server_that_is_down_for_a_while_gets_everything_later(workspace: Path) -> None:
    server = MlflowServer(workspace, f"sqlite:///{workspace}/server.db")
    process = start(*STORE_ONLY, "trainer.epochs=4", "seed=range(1,9)", f"tracking.uri={server.uri}", cwd=workspace)
    try:
        wait_for_epochs(workspace, 5)
        server.kill()
        epochs = sum(epochs_logged(workspace).values())
        wait_for_epochs(workspace, epochs + 8)  # training goes on without the server
        server.start()
        status, output, errors = finish(process)
        assert status == 0, output + errors
        check_all_is_recorded(server.uri, workspace, runs=8, epochs=4)
    finally:
        process.kill()
        process.communicate()
        server.kill()
