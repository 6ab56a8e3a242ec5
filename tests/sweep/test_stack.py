"""Sweeps whose variants train as one network: what belongs together, and that each has all that it would have alone."""

import os
import random
import signal
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from archsearch.compose.validate import validate
from archsearch.config.settings import SweepSettings
from archsearch.data.info import DATASETS
from archsearch.data.load import ResolvedDataset
from archsearch.runs import folder as run_folder
from archsearch.runs.prepare import PreparedRun, prepare
from archsearch.runs.train import train_run
from archsearch.sweep.launcher import teams_of
from archsearch.sweep.worker import Job
from archsearch.tracking.store import open_experiment, resolve_store
from tests.support.processes import Cli, start
from tests.support.requests import QUICK, ask
from tests.support.sweeps import TINY, epochs_logged, results_of, states_of, sweep_folder, table_of, wait_until

STACKED = ("-m", *TINY, "model.dropout=0", "sweep.workers=1", "sweep.stack=8")


@cache
def experiment(*overrides: str) -> PreparedRun:
    request = ask(*QUICK, *overrides)
    parsed, network = validate(request.config).require()
    return PreparedRun(request, parsed, network, ResolvedDataset(DATASETS["digits"]), None)


def teams(settings: SweepSettings, *variants: PreparedRun) -> list[list[int]]:
    jobs = [Job(number, each, Path(str(number))) for number, each in enumerate(variants)]
    return [[job.number for job in team] for team in teams_of(jobs, settings)]


def test_alike_variants_that_have_not_begun_belong_together() -> None:
    plain, other = experiment("seed=1"), experiment("seed=2", "model.dropout=0.2", "optimizer.lr=0.01")
    wider, begun = experiment("model.width=0.5"), replace(plain, resumed=Path("x"))
    variants = (plain, wider, begun, other, wider, other, plain)
    assert teams(SweepSettings(stack=3), *variants) == [[0, 3, 5], [1, 4], [2], [6]]
    assert teams(SweepSettings(stack=9), *variants) == [[0, 3, 5, 6], [1, 4], [2]]
    assert teams(SweepSettings(stack=2), begun, plain, plain) == [[0], [1, 2]]
    alone = [[number] for number in range(len(variants))]
    assert teams(SweepSettings(), *variants) == alone
    assert teams(SweepSettings(stack=9, time_limit=60.0), *variants) == alone


def test_each_member_has_what_it_would_have_alone(cli: Cli, workspace: Path) -> None:
    words = ("trainer.epochs=2", "trainer.channels_last=false")
    done = cli(*STACKED, *words, "seed=1,2", "optimizer.lr=0.002,0.001,1e18")
    assert done.returncode == 1  # two diverge
    found = results_of(workspace)
    assert [found[number]["state"] for number in range(6)] == ["FINISHED", "FINISHED", "FAILED"] * 2
    assert {result["stack"] for result in found.values()} == {6}
    assert "the training loss became" in found[2]["reason"] and found[5]["final"] is None
    folder = sweep_folder(workspace)
    for number in (0, 1, 3, 4):
        result, inside = found[number], folder / str(number)
        assert result["epochs_trained"] == 2 and result["tracking"]["complete"]
        assert (inside / run_folder.CHECKPOINT).exists() and (inside / run_folder.PREDICTIONS).exists()
        alone_in = workspace / "alone" / str(number)
        alone_in.mkdir(parents=True)
        own = ("model.dropout=0", *words, f"seed={result['seed']}", f"optimizer.lr={(0.002, 0.001)[number % 3]}")
        alone = train_run(prepare(ask(*TINY, *own, "tracking=none")), alone_in).as_dict()
        assert alone["stack"] is None
        # Equal to ten digits in double precision (test_stacked.py). Here with small rates, at which rounding grows
        # slowly, and without channels_last, in which torch's own batch norm rounds more.
        for mine, theirs in zip(result["history"], alone["history"], strict=True):
            assert mine["train/loss"] == pytest.approx(theirs["train/loss"], rel=0.005)
    logs = [(folder / str(number) / "archsearch.log").read_text() for number in range(6)]
    assert sum("trained as one network with others" in log for log in logs) == 5
    client, experiment_id = open_experiment(resolve_store(None, workspace / "outputs"), "archsearch")
    recorded = {found.info.run_id: found for found in client.search_runs([experiment_id])}
    for result in found.values():
        record = recorded[result["run_id"]]
        assert record.info.status == result["state"]
        assert record.data.metrics.get("test/accuracy") == (result["final"] or {}).get("test/accuracy")
    # The best of them has its figures and its model, for which its checkpoint is read by a trainer of its own.
    best = max((0, 1, 3, 4), key=lambda number: found[number]["best"]["val/accuracy"])
    assert (folder / str(best) / run_folder.MISTAKES).exists()


def test_a_stack_is_refused_where_the_launcher_cannot(cli: Cli, workspace: Path) -> None:
    refused = cli("-m", *TINY, "seed=1,2", "sweep.stack=2", "hydra/launcher=basic")
    assert refused.returncode == 2 and "sweep.stack: got 2, and only hydra/launcher=archsearch" in refused.stderr
    assert not (workspace / "outputs").exists()


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("fate", ["killed", "interrupted"])
def test_members_of_a_stack_that_was_ended_go_on_alone(workspace: Path, cli: Cli, fate: str) -> None:
    process = start(*STACKED, "trainer.epochs=12", "seed=1,2,3", cwd=workspace)
    wait_until(lambda: min((r["epochs_trained"] for r in results_of(workspace).values()), default=0) >= 2)
    if fate == "killed":
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(random.choice(workers), signal.SIGKILL)
    else:
        process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=240)
    assert "Traceback" not in output + errors
    if fate == "killed":
        assert process.returncode == 0 and "was killed by SIGKILL" in output and "trying again" in output
    else:
        assert process.returncode == 130 and set(states_of(workspace).values()) == {"KILLED"}
        done = cli("-m", "resume=last")
        assert done.returncode == 0, done.stderr
    assert set(states_of(workspace).values()) == {"FINISHED"}
    assert {(result["epochs_trained"], result["stack"]) for result in results_of(workspace).values()} == {(12, 3)}
    # What the stack had trained was not trained again, but for the epoch that it was in.
    assert sum(epochs_logged(workspace).values()) <= 3 * 12 + 3
    assert all(row["state"] == "FINISHED" for row in table_of(workspace).values())
