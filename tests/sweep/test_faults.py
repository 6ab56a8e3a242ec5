"""Sweeps to which bad things happen: real processes are killed, real disks are full, real stores go away.

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
from pathlib import Path

import pytest

from tests.support.mlflow_server import MlflowServer, check_all_is_recorded
from tests.support.processes import Cli, start
from tests.support.sweeps import (
    TINY,
    epochs_logged,
    record_of,
    results_of,
    states_of,
    sweep_folder,
    table_of,
    wait_until,
)

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

UNTRACKED = ("-m", *TINY, "tracking=none")


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    """The process ids of a sweep's workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=240)
    return process.returncode, output, errors


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_that_is_killed_takes_only_its_variant_along(workspace: Path, retries: int) -> None:
    process = start(*UNTRACKED, "trainer.epochs=12", "seed=1,2,3", f"sweep.retries={retries}", cwd=workspace)
    wait_until(lambda: sum(epochs_logged(workspace).values()) >= 2)
    time.sleep(random.uniform(0, 2))
    os.kill(random.choice(workers_of(process)), signal.SIGKILL)
    status, output, errors = finish(process)
    assert "was killed by SIGKILL" in output and "Traceback" not in output + errors
    if retries:
        assert status == 0, output
        assert "trying again" in output and "attempt 2" in output
        assert set(states_of(workspace).values()) == {"FINISHED"}
    else:
        assert status == 1
        assert sorted(row["state"] for row in table_of(workspace).values()) == ["FAILED", "FINISHED", "FINISHED"]
        assert sorted(states_of(workspace).values()) == ["FAILED", "FINISHED", "FINISHED"]
    assert all(
        result["epochs_trained"] == 12 for result in results_of(workspace).values() if result["state"] == "FINISHED"
    )


def test_a_sweep_whose_parent_is_killed_goes_on_exactly_where_it_was(cli: Cli, workspace: Path) -> None:
    """Killed at variant 6 of 10; then only the rest is trained, from the checkpoints."""
    seeds = ",".join(map(str, range(1, 11)))
    process = start("-m", *TINY, "trainer.epochs=4", f"seed={seeds}", "tracking.log_model=false", cwd=workspace)
    wait_until(lambda: epochs_logged(workspace).get(5, 0) >= 1)  # the sixth
    workers = workers_of(process)
    process.kill()
    process.communicate()
    wait_until(lambda: all(map(is_gone, workers)), 10)  # nobody trains for nobody
    before = results_of(workspace)
    finished = {number for number, result in before.items() if result["state"] == "FINISHED"}
    assert 2 <= len(finished) <= 6 and {"RUNNING"} <= {result["state"] for result in before.values()}
    stamps = {number: (sweep_folder(workspace) / str(number) / "result.json").stat().st_mtime_ns for number in finished}

    done = cli("-m", "resume=last")
    assert done.returncode == 0, done.stderr
    assert f"10 variants: {10 - len(finished)} to train, {len(finished)} trained already" in done.stdout
    after = results_of(workspace)
    assert states_of(workspace) == dict.fromkeys(range(10), "FINISHED")
    assert [after[number]["seed"] for number in range(10)] == list(range(1, 11))
    for number in finished - {max(finished, key=lambda n: after[n]["final"]["val/accuracy"])}:
        assert (sweep_folder(workspace) / str(number) / "result.json").stat().st_mtime_ns == stamps[number]
    assert {number: after[number]["run_id"] for number in before} == {n: r["run_id"] for n, r in before.items()}
    # Every epoch once; at most the two that were being trained, and not yet kept, twice.
    assert sum(result["epochs_trained"] for result in after.values()) == 40
    assert 40 <= sum(epochs_logged(workspace).values()) <= 42

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace}/outputs/mlflow.db")
    runs = client.search_runs(["1"], f'tags.sweep = "{record_of(workspace)["id"]}"')
    assert len(runs) == 10 and {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "val/accuracy")
        assert [point.step for point in history] == [1, 2, 3, 4]


def test_ctrl_c_once_ends_epochs_and_says_how_to_go_on(cli: Cli, workspace: Path) -> None:
    process = start("-m", *TINY, "trainer.epochs=40", "seed=1,2,3", "tracking.log_model=false", cwd=workspace)
    wait_until(lambda: sum(epochs_logged(workspace).values()) >= 2)
    process.send_signal(signal.SIGINT)
    status, output, errors = finish(process)
    assert status == 130 and "Traceback" not in output + errors
    assert "each running variant ends its epoch first" in output and "-m resume=" in output
    assert set(states_of(workspace).values()) == {"KILLED"}
    assert record_of(workspace)["state"] == "KILLED"
    kept = {number: result["epochs_trained"] for number, result in results_of(workspace).items()}
    assert kept == epochs_logged(workspace)  # nothing that was trained is lost
    for result in results_of(workspace).values():
        assert result["reason"] == "interrupted"

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace}/outputs/mlflow.db")
    assert client.get_run(record_of(workspace)["tracking"]["run_id"]).info.status == "KILLED"
    done = cli("-m", "resume=last")
    assert done.returncode == 0, done.stderr
    assert epochs_logged(workspace) == dict.fromkeys(range(3), 40)


def test_ctrl_c_twice_stops_at_once(workspace: Path) -> None:
    process = start(
        *(
            "-m",
            "data=digits",
            "tracking=none",
            "trainer.epochs=3",
            "seed=1,2",
            "model.width=6",
            "trainer.batch_size=400",
        ),
        cwd=workspace,
    )
    wait_until(lambda: len(states_of(workspace)) == 2)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    status, output, errors = finish(process)
    assert time.monotonic() - began < 20
    assert status == 130 and "stopping at once" in output and "Traceback" not in output + errors
    assert set(states_of(workspace).values()) == {"KILLED"}
    assert not any(epochs_logged(workspace).values())


def test_a_polite_kill_stops_at_once_too(workspace: Path) -> None:
    process = start(*UNTRACKED, "trainer.epochs=40", "seed=1,2,3", cwd=workspace)
    wait_until(lambda: sum(epochs_logged(workspace).values()) >= 1)
    process.terminate()
    status, output, _ = finish(process)
    assert status == 130 and "-m resume=" in output
    assert set(states_of(workspace).values()) == {"KILLED"}


def test_a_variant_that_takes_too_long_fails_alone(cli: Cli, workspace: Path) -> None:
    done = cli(*UNTRACKED, "trainer.epochs=2,500", "sweep.time_limit=8", "sweep.retries=3")
    assert done.returncode == 1
    assert states_of(workspace) == {0: "FINISHED", 1: "FAILED"}
    assert "took longer than sweep.time_limit (8 s), in epoch" in done.stdout
    assert "attempt 2" not in done.stdout  # it would take too long again


def test_a_variant_that_hangs_is_killed(workspace: Path) -> None:
    """Its own clock does not tick; the sweep's does."""
    process = start(*UNTRACKED, "trainer.epochs=100", "seed=1,2", "sweep.time_limit=5", cwd=workspace)
    wait_until(lambda: len(states_of(workspace)) == 2)
    stopped = workers_of(process)[0]
    os.kill(stopped, signal.SIGSTOP)
    status, output, _ = finish(process)
    assert status == 1
    assert "and was killed" in output and "in epoch" in output
    assert set(states_of(workspace).values()) == {"FAILED"} and is_gone(stopped)


def test_the_same_sweep_in_two_terminals(cli: Cli, workspace: Path) -> None:
    first = start(*UNTRACKED, "trainer.epochs=6", "seed=1,2", "hydra.sweep.dir=outputs/sweeps/both", cwd=workspace)
    wait_until(lambda: sum(epochs_logged(workspace).values()) >= 1)
    second = cli("-m", "resume=both")
    assert second.returncode == 2 and "another process is working on the sweep" in second.stderr
    status, _, errors = finish(first)
    assert status == 0, errors
    assert epochs_logged(workspace) == {0: 6, 1: 6}
    words = (*UNTRACKED, "trainer.epochs=1", "seed=1,2")
    both = [start(*words, cwd=workspace) for _ in range(2)]
    assert [finish(process)[0] for process in both] == [0, 0]
    assert len(list(workspace.glob("outputs/sweeps/*/sweep.json"))) == 3


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


def test_a_full_disk_fails_what_it_must_and_is_said(cli: Cli, workspace: Path) -> None:
    sweeps = workspace / "outputs" / "sweeps"
    with small_disk(sweeps, "300k"):
        done = cli(
            *UNTRACKED, "trainer.epochs=2", "seed=range(1,9)", "sweep.workers=1", "hydra.sweep.dir=outputs/sweeps/full"
        )
        assert done.returncode in (1, 2), done.stderr
        assert "disk is full" in done.stdout and "Traceback" not in done.stdout + done.stderr
        states = states_of(workspace)
        assert "FINISHED" in states.values()
        (sweeps / "full" / "workers.log").unlink()
        subprocess.run(["mount", "-o", "remount,size=10m", str(sweeps)], check=True)
        again = cli("-m", "resume=full")
        assert again.returncode == 0, again.stderr
        assert states_of(workspace) == dict.fromkeys(range(8), "FINISHED")


def test_a_read_only_folder_is_said_before_anything_trains(cli: Cli, workspace: Path) -> None:
    sweeps = workspace / "outputs" / "sweeps"
    with small_disk(sweeps, "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(sweeps)], check=True)
        done = cli(*UNTRACKED, "seed=1,2")
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "Read-only file system" in done.stderr and "hydra.sweep.dir=... puts a sweep elsewhere" in done.stderr


def test_sqlite_locked_by_another_process_for_thirty_seconds(workspace: Path) -> None:
    process = start("-m", *TINY, "trainer.epochs=3", "seed=range(1,7)", "tracking.log_model=false", cwd=workspace)
    wait_until(lambda: sum(epochs_logged(workspace).values()) >= 2)
    database = sqlite3.connect(workspace / "outputs" / "mlflow.db", timeout=30)
    database.execute("BEGIN IMMEDIATE")
    time.sleep(30)
    database.rollback()
    database.close()
    status, output, errors = finish(process)
    assert status == 0, output + errors
    check_all_is_recorded(f"sqlite:///{workspace}/outputs/mlflow.db", workspace, variants=6, epochs=3)
    with closing(sqlite3.connect(workspace / "outputs" / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_an_mlflow_server_that_stops_and_starts_half_way(workspace: Path) -> None:
    server = MlflowServer(workspace, f"sqlite:///{workspace}/server.db")
    words = ("trainer.epochs=4", "seed=range(1,9)", f"tracking.uri={server.uri}", "tracking.log_model=false")
    process = start("-m", *TINY, *words, cwd=workspace)
    try:
        wait_until(lambda: sum(epochs_logged(workspace).values()) >= 5)
        server.kill()
        seen = sum(epochs_logged(workspace).values())
        wait_until(lambda: sum(epochs_logged(workspace).values()) >= seen + 8)  # training goes on without it
        server.start()
        status, output, errors = finish(process)
        assert status == 0, output + errors
        check_all_is_recorded(server.uri, workspace, variants=8, epochs=4)
    finally:
        process.kill()
        process.communicate()
        server.kill()
