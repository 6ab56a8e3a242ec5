"""`python -m archsearch` as a real process: its output, its exit status, and what signals and full disks do to it."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from archsearch.tracking.store import open_experiment, resolve_store
from tests.support.processes import REPOSITORY, Cli, start, wait_until
from tests.support.requests import QUICK

pytestmark = pytest.mark.e2e

UNTRACKED = (*QUICK, "tracking=none")


def result_of(workspace: Path) -> dict[str, Any]:
    (path,) = workspace.glob("outputs/runs/*/result.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def wait_for_epoch(workspace: Path, epoch: int) -> None:
    def is_trained() -> bool:
        paths = workspace.glob("outputs/runs/*/result.json")
        return any(json.loads(path.read_text())["epochs_trained"] >= epoch for path in paths)

    wait_until(is_trained)


def test_a_run_prints_its_epochs_and_its_summary(cli: Cli, workspace: Path) -> None:
    done = cli(*QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Epoch 2/2  Train set: Average loss: " in done.stdout and "Val set: Average loss: " in done.stdout
    result = result_of(workspace)
    for text in ("final", "best epoch chosen on validation", "parameters", result["run_id"], "archsearch.ui"):
        assert text in done.stdout
    (log,) = workspace.glob("outputs/runs/*/archsearch.log")
    assert "Epoch 2/2" in log.read_text()
    assert {path.name for path in workspace.iterdir()} == {"outputs"}


def test_hydra_full_error_shows_the_traceback(cli: Cli) -> None:
    done = cli("model.width=-1", HYDRA_FULL_ERROR="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr and "ConfigError" in done.stderr


def test_a_diverging_run_exits_with_status_1(cli: Cli, workspace: Path) -> None:
    done = cli(*UNTRACKED, "optimizer.lr=1e18", "scheduler=constant")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "the training loss became" in done.stderr and "lower optimizer.lr" in done.stderr
    assert result_of(workspace)["state"] == "FAILED"


def test_running_out_of_memory_names_the_settings_to_lower(workspace: Path) -> None:
    limit = 6 * 2**30
    overrides = (*UNTRACKED, "model.width=40", "scheduler=constant", "trainer.batch_size=1250")
    done = subprocess.run(
        [sys.executable, "-m", "archsearch", *overrides],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "out of memory" in done.stderr and "trainer.batch_size" in done.stderr
    assert "Traceback" not in done.stderr
    assert result_of(workspace)["state"] == "FAILED"


def test_a_full_disk_is_named_with_the_setting_that_moves_the_run(cli: Cli, workspace: Path) -> None:
    small = workspace / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        done = cli(*UNTRACKED, f"hydra.run.dir={small}/run")
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "the disk is full" in done.stderr and "set hydra.run.dir" in done.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.fixture
def interrupted(workspace: Path) -> subprocess.CompletedProcess[str]:
    """A run of eight epochs that Ctrl-C stopped after its first."""
    process = start(*QUICK, "tracking.log_model=false", "trainer.epochs=8", cwd=workspace)
    wait_for_epoch(workspace, 1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def test_ctrl_c_keeps_the_run_and_prints_how_to_continue(
    interrupted: subprocess.CompletedProcess[str], workspace: Path
) -> None:
    assert interrupted.returncode == 130, interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    result = result_of(workspace)
    assert result["state"] == "KILLED" and f"resume={result['run_id']}" in interrupted.stdout
    client, _ = open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    assert client.get_run(result["run_id"]).info.status == "KILLED"


@pytest.mark.usefixtures("interrupted")
def test_a_resumed_run_continues_the_same_record(cli: Cli, workspace: Path) -> None:
    before = result_of(workspace)
    done = cli("resume=last")
    assert done.returncode == 0, done.stderr
    assert f"continuing after epoch {before['epochs_trained']}" in done.stdout
    result = result_of(workspace)
    assert (result["state"], result["epochs_trained"], result["run_id"]) == ("FINISHED", 8, before["run_id"])
    client, _ = open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    assert client.get_run(result["run_id"]).info.status == "FINISHED"
    steps = [point.step for point in client.get_metric_history(result["run_id"], "val/accuracy")]
    assert steps == list(range(1, 9))


def test_sigterm_ends_a_run_as_cleanly_as_ctrl_c(workspace: Path) -> None:
    process = start(*UNTRACKED, "trainer.epochs=30", cwd=workspace)
    wait_for_epoch(workspace, 1)
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143 and "Traceback" not in errors
    assert result_of(workspace)["state"] == "KILLED" and "resume=" in output


def test_a_run_whose_process_was_killed_resumes(cli: Cli, workspace: Path) -> None:
    process = start(*UNTRACKED, "trainer.epochs=6", cwd=workspace)
    wait_for_epoch(workspace, 1)
    process.kill()
    process.communicate()
    assert result_of(workspace)["state"] == "RUNNING"
    assert cli("resume=last").returncode == 0
    result = result_of(workspace)
    assert (result["state"], result["epochs_trained"]) == ("FINISHED", 6)


@pytest.mark.parametrize("delay", [0.15, 0.3, 0.5, 0.7, 1.0, 1.5])
def test_ctrl_c_in_the_first_seconds_is_one_line(delay: float, workspace: Path) -> None:
    process = start(*UNTRACKED, "trainer.epochs=30", cwd=workspace)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "archsearch: interrupted\n")


def test_a_closed_pipe_ends_nothing(workspace: Path) -> None:
    process = start(*UNTRACKED, cwd=workspace)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr:
        errors = process.stderr.read()
    assert (process.wait(60), errors) == (0, "")
    assert result_of(workspace)["state"] == "FINISHED"


def test_a_run_needs_no_standard_streams(workspace: Path) -> None:
    command = [sys.executable, "-m", "archsearch", *UNTRACKED]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    script = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", *command], cwd=workspace, env=environment, check=False)
    assert done.returncode == 0 and result_of(workspace)["state"] == "FINISHED"
