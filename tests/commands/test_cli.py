"""The command line as a person types it: real processes, their output, their exit status, and what they leave."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY, Cli, start
from tests.support.requests import QUICK

UNTRACKED = (*QUICK, "tracking=none")


def result_of(workspace: Path) -> dict[str, object]:
    (path,) = workspace.glob("outputs/runs/*/result.json")
    content: dict[str, object] = json.loads(path.read_text())
    return content


def test_one_variant_end_to_end(cli: Cli, workspace: Path) -> None:
    done = cli(*QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Epoch 2/2  Train set: Average loss: " in done.stdout and "Val set: Average loss: " in done.stdout
    result = result_of(workspace)
    for said in ("final", "best epoch chosen on validation", "parameters", str(result["run_id"]), "archsearch.ui"):
        assert said in done.stdout
    (folder,) = workspace.glob("outputs/runs/*")
    assert "Epoch 2/2" in (folder / "archsearch.log").read_text()
    assert {path.name for path in workspace.iterdir()} == {"outputs"}


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("trainer.epocs=3", "model=sesion4"), ("trainer.epocs: unknown setting (did you mean epochs?)", "session4?")),
        (("trainer.epochs=many",), ("trainer.epochs: got 'many', must be a whole number",)),
        (("model.blocks.conv2.kernel_size=40",), ("model.blocks.conv2: kernel_size 40 does not fit its 26x26 input",)),
        (("data=mnist", "data.root=/nowhere/at/all"), ("data=digits", "train-images-idx3-ubyte", "/nowhere/at/all")),
        (("trainer.device=cuda:77", "data=digits"), ("trainer.device: got 'cuda:77'",)),
        (("resume=nothing",), ("resume=nothing: no run with this id",)),
        (("model.dropout=0,1",), ("add --multirun",)),
        (("tracking.uri=sqlite:////proc/x/mlflow.db", "data=digits"), ("/proc/x",)),
        (("hydra.run.dir=/proc/nowhere", "data=digits", "tracking=none"), ("/proc/nowhere", "hydra.run.dir=")),
    ],
)
def test_user_errors_are_one_message_and_status_2(
    cli: Cli, workspace: Path, arguments: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and done.stderr.startswith("archsearch:")
    for message in messages:
        assert message in done.stderr
    assert not list(workspace.glob("**/result.json")) and not list(workspace.glob("**/*.db"))


def test_a_full_error_shows_the_traceback(cli: Cli) -> None:
    done = cli("model.width=-1", HYDRA_FULL_ERROR="1")
    assert done.returncode == 2 and "Traceback" in done.stderr and "ConfigError" in done.stderr


def test_divergence_is_status_1(cli: Cli, workspace: Path) -> None:
    done = cli(*UNTRACKED, "optimizer.lr=1e18", "scheduler=constant")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "the training loss became" in done.stderr and "lower optimizer.lr" in done.stderr
    assert result_of(workspace)["state"] == "FAILED"


def test_out_of_memory_is_said(workspace: Path) -> None:
    limit = 6 * 2**30
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "archsearch",
            *UNTRACKED,
            "model.width=40",
            "scheduler=constant",
            "trainer.batch_size=1250",
        ],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert process.returncode == 1, process.stderr
    assert "out of memory" in process.stderr and "trainer.batch_size" in process.stderr
    assert "Traceback" not in process.stderr
    assert result_of(workspace)["state"] == "FAILED"


def wait_for_epoch(workspace: Path, epoch: int) -> None:
    for _ in range(600):
        for path in workspace.glob("outputs/runs/*/result.json"):
            if json.loads(path.read_text())["epochs_trained"] >= epoch:
                return
        time.sleep(0.05)
    raise AssertionError("it never got there")


def test_ctrl_c_ends_cleanly_and_resume_continues(cli: Cli, workspace: Path) -> None:
    process = start(*QUICK, "tracking.log_model=false", "trainer.epochs=8", cwd=workspace)
    wait_for_epoch(workspace, 1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    result = result_of(workspace)
    assert result["state"] == "KILLED" and f"resume={result['run_id']}" in output

    from archsearch.tracking.store import open_experiment, resolve_store

    client, _ = open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    assert client.get_run(str(result["run_id"])).info.status == "KILLED"
    done = cli("resume=last")
    assert done.returncode == 0, done.stderr
    assert f"continuing after epoch {result['epochs_trained']}" in done.stdout
    again = result_of(workspace)
    assert (again["state"], again["epochs_trained"], again["run_id"]) == ("FINISHED", 8, result["run_id"])
    assert client.get_run(str(result["run_id"])).info.status == "FINISHED"
    steps = [point.step for point in client.get_metric_history(str(result["run_id"]), "val/accuracy")]
    assert steps == list(range(1, 9))


def test_a_polite_kill_ends_as_cleanly(workspace: Path) -> None:
    process = start(*UNTRACKED, "trainer.epochs=15", cwd=workspace)
    wait_for_epoch(workspace, 1)
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143 and "Traceback" not in errors
    assert result_of(workspace)["state"] == "KILLED" and "resume=" in output


def test_a_killed_process_can_be_resumed(cli: Cli, workspace: Path) -> None:
    process = start(*UNTRACKED, "trainer.epochs=6", cwd=workspace)
    wait_for_epoch(workspace, 1)
    process.kill()
    process.communicate()
    assert result_of(workspace)["state"] == "RUNNING"
    assert cli("resume=last").returncode == 0
    assert (result_of(workspace)["state"], result_of(workspace)["epochs_trained"]) == ("FINISHED", 6)


def test_a_full_disk_is_said(cli: Cli, workspace: Path) -> None:
    small = workspace / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        done = cli(*UNTRACKED, f"hydra.run.dir={small}/run")
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "the disk is full" in done.stderr and "hydra.run.dir=" in done.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_check_prints_the_table_and_leaves_nothing(cli: Cli, workspace: Path) -> None:
    done = cli("model=session4", module="archsearch.check")
    assert done.returncode == 0 and done.stderr == ""
    assert "Linear-29                  [-1, 10]       1,450" in done.stdout and "Total params: 12,954" in done.stdout
    refused = cli("model.blocks.conv1.kernel_size=99", module="archsearch.check")
    assert refused.returncode == 2 and "does not fit" in refused.stderr
    assert not list(workspace.iterdir())


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("archsearch", ("--cfg", "job")),
        ("archsearch", ("--help",)),
        ("archsearch", ("trainer.epocs=3",)),
        ("archsearch.check", ()),
    ],
)
def test_quick_answers_import_nothing_heavy(workspace: Path, module: str, arguments: tuple[str, ...]) -> None:
    script = f"""
import runpy, sys
sys.argv = ["archsearch", *{arguments!r}]
heavy = {{"torch", "torchvision", "mlflow", "matplotlib", "sklearn", "pandas"}}
try:
    runpy.run_module({module!r}, run_name="__main__")
finally:
    print("heavy:", sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert "heavy: []" in done.stderr


def test_models_of_ones_own_are_found_in_the_working_directory(cli: Cli, workspace: Path) -> None:
    folder = workspace / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("blocks: {only: {channels: 3}}\nhead: {type: gap}\n")
    done = cli("model=mine", "model.blocks.only.kernel_size=5", module="archsearch.check")
    assert done.returncode == 0 and "Total params: 124" in done.stdout, done.stderr
    misspelt = cli("model=mien", module="archsearch.check")
    assert "did you mean mine?" in misspelt.stderr


def test_the_ui_serves_the_store(cli: Cli, workspace: Path) -> None:
    import socket
    import urllib.request

    nothing = cli(module="archsearch.ui")
    assert nothing.returncode == 2 and "does not exist yet: train something first" in nothing.stderr
    from archsearch.tracking.store import open_experiment, resolve_store

    open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        taken = cli(f"ui.port={port}", module="archsearch.ui")
    assert taken.returncode == 2 and f"ui.port: got {port}, which something else listens on" in taken.stderr
    process = start(f"ui.port={port}", cwd=workspace, module="archsearch.ui")
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as page:
                    assert "MLflow" in page.read().decode()
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                time.sleep(0.5)
        else:
            raise AssertionError("the UI never answered")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
