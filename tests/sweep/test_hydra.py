"""A sweep among Hydra's own plugins and settings."""

import json
import re
from pathlib import Path

import pytest

from tests.support.processes import Cli
from tests.support.sweeps import TINY, TrainedSweep, results_of, states_of, table_of

pytestmark = pytest.mark.sweep

ONE_EPOCH = ("-m", *TINY, "trainer.epochs=1", "tracking=none", "seed=1,2")


def final_accuracies(folder: Path) -> list[float]:
    """Of the runs in `folder`, in order of their names."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*/result.json"))]
    return [result["final"]["val/accuracy"] for result in results]


def test_hydras_basic_launcher_trains_a_sweep(cli: Cli, workspace: Path) -> None:
    done = cli(*ONE_EPOCH, "hydra/launcher=basic")
    assert done.returncode == 0, done.stderr
    assert len(table_of(workspace)) == 2 and states_of(workspace) == {0: "FINISHED", 1: "FINISHED"}


def test_hydras_basic_sweeper_gives_the_same_numbers(
    cli: Cli, workspace: Path, trained_by_worker: TrainedSweep
) -> None:
    folder = ("hydra.sweep.dir=theirs", "hydra.sweep.subdir=job-${hydra.job.num}")
    done = cli(*ONE_EPOCH, "model.dropout=0", "hydra/sweeper=basic", *folder)
    assert done.returncode == 0, done.stderr
    assert {path.parent.name for path in workspace.glob("theirs/*/result.json")} == {"job-0", "job-1"}
    expected = [results_of(trained_by_worker.workspace)[number]["final"]["val/accuracy"] for number in (0, 1)]
    assert final_accuracies(workspace / "theirs") == expected


def test_run_folders_are_named_by_hydras_setting(cli: Cli, workspace: Path) -> None:
    folder = ("hydra.sweep.dir=outputs/sweeps/named", "hydra.sweep.subdir=seed-${hydra.job.override_dirname}")
    done = cli(*ONE_EPOCH, *folder, "sweep.workers=1")
    assert done.returncode == 0, done.stderr
    names = {path.parent.name for path in workspace.glob("outputs/sweeps/named/*/result.json")}
    assert len(names) == 2
    assert all(name.startswith("seed-data=digits,") and re.search("seed=[12]", name) for name in names)
