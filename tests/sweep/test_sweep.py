"""Sweeps as a person runs them: what they leave on disk and in MLflow, and going on with them."""

import csv
import json
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY, Cli
from tests.support.sweeps import TINY, epochs_logged, record_of, results_of, states_of, sweep_folder, table_of


def test_a_sweep_end_to_end_then_a_larger_one(cli: Cli, workspace: Path) -> None:  # noqa: PLR0915  a story
    words = (*TINY, "trainer.epochs=1", "tracking.log_model=false", "model.dropout=0,0.1", "seed=1,2")
    done = cli("-m", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder = sweep_folder(workspace)
    assert states_of(workspace) == dict.fromkeys(range(4), "FINISHED")
    assert "4 runs of 2 variants: 4 to train; about" in done.stdout

    # The screen: a line a variant, the table with replicates in one row, and where to look.
    assert "0 dropout=0 seed=1: val " in done.stdout
    heading = next(line for line in done.stdout.splitlines() if "dropout" in line and "params" in line)
    assert heading.split() == "dropout params MACs n val best sd val final sd test sd time".split()
    assert "mean of 2 seeds" in done.stdout and "/#/experiments/" in done.stdout
    record = record_of(workspace)
    assert f"tags.sweep%20%3D%20%22{record['id']}%22" in done.stdout

    # The folder: tables, pictures, logs.
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [row["state"] for row in rows] == ["FINISHED"] * 4
    assert set(rows[0]) >= {"number", "model.dropout", "seed", "params", "macs", "val_best", "val_final", "test"}
    groups = json.loads((folder / "table.json").read_text())["variants"]
    assert [group["val_final"]["n"] for group in groups] == [2, 2]
    by_number = table_of(workspace)
    for group in groups:
        finals = [by_number[number]["val_final"] for number in group["runs"]]
        assert group["val_final"]["mean"] == pytest.approx(sum(finals) / 2)
        assert group["val_final"]["sd"] == pytest.approx(abs(finals[0] - finals[1]) / 2**0.5)
    assert "| dropout |" in (folder / "table.md").read_text()
    assert (folder / "ranking.png").stat().st_size > 5000
    assert "Epoch 1/1" in (folder / "0" / "archsearch.log").read_text()
    assert "1 variants" not in (folder / "sweep.log").read_text()

    # MLflow: a parent, and a child for each variant, named by what varies.
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace}/outputs/mlflow.db")
    children = client.search_runs(["1"], f'tags.sweep = "{record["id"]}"')
    assert sorted(run.info.run_name for run in children) == [
        f"dropout={d} seed={s}" for d in ("0", "0.1") for s in (1, 2)
    ]
    parent = client.get_run(record["tracking"]["run_id"])
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert parent.info.status == "FINISHED" and parent.data.tags["sweep.overrides"] == " ".join(record["overrides"])
    assert "| dropout |" in parent.data.tags["mlflow.note.content"]
    kept = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert kept == {"multirun.yaml", "table.csv", "table.json", "table.md", "ranking.png"}
    best = max(children, key=lambda run: float(run.data.metrics["val/accuracy"]))
    for run in children:
        artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert {"config.yaml", "layers.txt", "predictions.csv"} <= artifacts
        if run.data.metrics["val/accuracy"] < best.data.metrics["val/accuracy"]:
            assert "curves.png" not in artifacts  # the best one has them
    assert any("curves.png" in {item.path for item in client.list_artifacts(run.info.run_id)} for run in children)
    assert all(run.info.status == "FINISHED" for run in children)

    # Larger: only what is new is trained, and numbers stay.
    before = {number: result["run_id"] for number, result in results_of(workspace).items()}
    larger = cli("-m", *words[:-1], "seed=1,2,3", "model.dropout=0", "resume=last")
    assert larger.returncode == 0, larger.stderr
    assert "3 runs of 1 variant: 1 to train, 2 already trained" in larger.stdout
    after = results_of(workspace)
    assert {number: after[number]["run_id"] for number in before} == before
    assert set(after) == {0, 1, 2, 3, 4} and after[4]["seed"] == 3
    assert epochs_logged(workspace) == dict.fromkeys(range(5), 1)
    assert len(client.search_runs(["1"], f'tags.sweep = "{record["id"]}"')) == 5


@pytest.mark.sweep
def test_a_part_of_a_sweep_can_be_resumed_then_the_rest(cli: Cli, workspace: Path) -> None:
    words = (*TINY, "trainer.epochs=1", "tracking=none", "model.dropout=0,0.1", "seed=1,2")
    assert cli("-m", *words, "sweep.time_limit=0.01", "sweep.workers=1").returncode == 1
    assert set(states_of(workspace).values()) == {"FAILED"}
    part = cli("-m", *words, "model.dropout=0.1", "resume=last")
    assert part.returncode == 1  # of the whole sweep, two are left
    assert states_of(workspace) == {0: "FAILED", 1: "FAILED", 2: "FINISHED", 3: "FINISHED"}
    rest = cli("-m", "resume=last", "sweep.time_limit=100")
    assert rest.returncode == 0, rest.stderr
    assert "4 variants: 2 to train, 2 trained already" in rest.stdout
    table = table_of(workspace)
    assert [table[number]["values"] for number in range(4)] == [
        {"model.dropout": dropout, "seed": seed} for dropout in ("0", "0.1") for seed in ("1", "2")
    ]


def test_failed_rejected_and_skipped_variants_do_not_stop_the_others(cli: Cli, workspace: Path) -> None:
    words = ("trainer.epochs=1", "tracking=none", "scheduler=constant", "optimizer.lr=0.05,1e18")
    widths = ("model.width=0.4,0.41,9,-1", "constraints.max_params=20000")
    refused = cli("-m", *TINY, *words, *widths)
    assert refused.returncode == 2 and "model.width: got -1" in refused.stderr
    assert not (workspace / "outputs").exists()
    done = cli("-m", *TINY, *words, *widths, "sweep.invalid=skip", "sweep.workers=1")
    assert done.returncode == 1
    assert "lr=1e+18 width=0.4: FAILED: the training loss became" in done.stdout
    assert "1 of 8 runs were not trained to their end" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    states = {number: row["state"] for number, row in table_of(workspace).items()}
    assert [states[number] for number in range(8)] == [
        *("FINISHED", "DUPLICATE", "OVER_BUDGET", "INVALID"),
        *("FAILED", "DUPLICATE", "OVER_BUDGET", "INVALID"),
    ]
    log = (sweep_folder(workspace) / "4" / "archsearch.log").read_text()
    assert "Traceback (most recent call last)" in log and "NonFiniteLossError" in log
    assert table_of(workspace)[1]["val_final"] == table_of(workspace)[0]["val_final"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "resume=last"), "resume=last: no sweep under outputs/"),
        (("-m", "resume=nothing"), "resume=nothing: no sweep of this name"),
        (("-m", "resume="), "resume= is empty"),
        (("-m", "seed=1,2", "hydra.sweep.subdir=x"), "gives runs 0 and 1 the same folder 'x'"),
        (("-m", "seed=1,2", "trainer.device=cuda:1"), "say cuda, and which ones may be used in CUDA_VISIBLE_DEVICES"),
        (("-m", "model.width=5,6", "constraints.max_params=10"), "no run is left to train"),
        (("-m", "seed=1,2", "data=mnist", "data.root=/nowhere/at/all"), "data=mnist: MNIST is not on disk"),
        (("-m", "seed=1,2", "hydra.sweep.dir=/proc/nowhere", *TINY, "tracking=none"), "/proc/nowhere"),
        (("-m", "seed=1,2", "tracking.uri=http://127.0.0.1:9", *TINY), "http://127.0.0.1:9 does not answer"),
        (
            ("-m", "seed=1,2", "hydra/launcher=ray", "hydra.launcher._target_=hydra_plugins.missing.it.It"),
            "hydra/launcher: got ray, whose package is not installed: pip install 'archsearch[ray]'",
        ),
    ],
)
def test_errors_before_anything_trains_leave_nothing(
    cli: Cli, workspace: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = cli(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(workspace.iterdir())


@pytest.mark.sweep
def test_another_sweep_or_folder_is_not_mistaken_for_it(cli: Cli, workspace: Path) -> None:
    words = ("-m", *TINY, "trainer.epochs=1", "tracking=none", "hydra.sweep.dir=outputs/sweeps/mine")
    assert cli(*words, "seed=1,2").returncode == 0
    twice = cli(*words, "seed=1,2")
    assert twice.returncode == 2 and "holds a sweep already: continue it with -m resume=mine" in twice.stderr
    other = cli("-m", *TINY, "trainer.epochs=2", "seed=1,2", "resume=mine")
    assert other.returncode == 2 and "none of these variants is in the sweep" in other.stderr
    single = cli("resume=outputs/sweeps/mine")
    assert single.returncode == 2 and "this is a sweep, not a run; add -m" in single.stderr
    (workspace / "outputs" / "sweeps" / "mine" / "sweep.json").write_text("{")
    damaged = cli("-m", "resume=mine")
    assert damaged.returncode == 2 and "sweep.json: not a sweep's" in damaged.stderr


@pytest.mark.sweep
def test_hydra_s_own_launcher_and_sweeper_still_work(cli: Cli, workspace: Path) -> None:
    words = ("-m", *TINY, "trainer.epochs=1", "tracking=none", "seed=1,2")
    ours = cli(*words, "hydra/launcher=basic")
    assert ours.returncode == 0, ours.stderr
    assert len(table_of(workspace)) == 2 and states_of(workspace) == {0: "FINISHED", 1: "FINISHED"}
    theirs = cli(*words, "hydra/sweeper=basic", "hydra.sweep.dir=theirs", "hydra.sweep.subdir=job-${hydra.job.num}")
    assert theirs.returncode == 0, theirs.stderr
    assert {path.parent.name for path in workspace.glob("theirs/*/result.json")} == {"job-0", "job-1"}
    same = [json.loads((workspace / "theirs" / f"job-{n}" / "result.json").read_text())["final"] for n in (0, 1)]
    assert [results_of(workspace)[n]["final"]["val/accuracy"] for n in (0, 1)] == [it["val/accuracy"] for it in same]


@pytest.mark.sweep
def test_folders_are_named_as_hydra_is_told(cli: Cli, workspace: Path) -> None:
    words = ("-m", *TINY, "trainer.epochs=1", "tracking=none", "seed=1,2", "hydra.sweep.dir=outputs/sweeps/named")
    done = cli(*words, "hydra.sweep.subdir=seed-${hydra.job.override_dirname}", "sweep.workers=1")
    assert done.returncode == 0, done.stderr
    folders = {path.parent.name for path in workspace.glob("outputs/sweeps/named/*/result.json")}
    assert len(folders) == 2
    assert all(name.startswith("seed-data=digits,") and re.search("seed=[12]", name) for name in folders)


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_on_a_terminal_one_bar_shows_it_all(workspace: Path) -> None:
    import os
    import pty

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 160))
    words = ("-m", *TINY, "trainer.epochs=4", "tracking=none", "seed=1,2,3", "model.dropout=0,2", "sweep.invalid=skip")
    process = subprocess.Popen(
        [sys.executable, "-m", "archsearch", *words],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:
        pass  # Linux's way of saying that the other side is closed
    os.close(ours)
    text = seen.decode()
    assert process.wait() == 0, text
    bars = re.findall(r"sweep +(\d+)%\|[^\r\n]*", text)
    assert bars and int(bars[-1]) > int(bars[0])
    assert re.search(r"sweep +\d+%\|.*\| [\d:]+, [\d:?]+ left, 1 done, 2 running, best \d\d\.\d\d% seed=", text)
    assert "4 seed=3 dropout=0: val " in text


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_have_one_thread_each_and_share_the_data(mnist_root: Path, cli: Cli, workspace: Path) -> None:
    from tests.support.processes import start
    from tests.support.sweeps import wait_until

    process = start(
        *("-m", "data=mnist", f"data.root={mnist_root}", "seed=1,2", "tracking=none", "trainer.epochs=50"),
        *("model=session5_step1", "sweep.workers=2"),
        cwd=workspace,
    )
    try:
        wait_until(lambda: list(epochs_logged(workspace).values()) >= [1, 1])
        workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        trainers = [pid for pid in workers if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert len(trainers) == 2
        for pid in trainers:
            environment = Path(f"/proc/{pid}/environ").read_text()
            assert "OMP_NUM_THREADS=1" in environment and "MKL_NUM_THREADS=1" in environment
            maps = Path(f"/proc/{pid}/maps").read_text()
            assert "train-images-idx3-ubyte" in maps and "t10k-images-idx3-ubyte" in maps
    finally:
        process.kill()
        process.communicate()
