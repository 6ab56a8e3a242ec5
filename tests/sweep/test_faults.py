"""Sweeps under faults: runs that take too long, two sweeps at a time, full disks, stores that go down.

python -m pytest -m sweep
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.mlflow_server import MlflowServer, check_all_is_recorded
from tests.support.processes import Cli, small_disk, start, wait_until
from tests.support.sweeps import (
    PATIENCE,
    STORE_ONLY,
    UNTRACKED,
    database_of,
    epochs_logged,
    finish,
    is_gone,
    states_of,
    wait_for_epochs,
    workers_of,
)

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


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


@pytest.mark.slow
def test_two_sweeps_can_train_at_the_same_time(workspace: Path) -> None:
    processes = [start(*UNTRACKED, "trainer.epochs=1", "seed=1,2", cwd=workspace) for _ in range(2)]
    assert [finish(process)[0] for process in processes] == [0, 0]
    assert len(list(workspace.glob("outputs/sweeps/*/sweep.json"))) == 2


# Disks


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
        assert "Read-only file system" in done.stderr and "set hydra.sweep.dir to use another folder" in done.stderr


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
