"""Resuming a sweep: what is trained, which numbers runs have, and sweeps of an earlier version."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from archsearch.runs.folder import read_config
from tests.support.command_line import Command
from tests.support.processes import Cli
from tests.support.sweeps import (
    HERE,
    TINY,
    TrainedSweep,
    epochs_logged,
    record_of,
    results_of,
    states_of,
    sweep_folder,
    table_of,
    train_sweep,
)

DATA = Path(__file__).parent
OLD = "begun_by_0.1.0"  # a sweep that was killed in the second of three epochs of run 3, before run 9 began


@pytest.fixture
def copied(trained: TrainedSweep, workspace: Path) -> Path:
    """A copy of the trained sweep, in the workspace."""
    shutil.copytree(trained.workspace / "outputs", workspace / "outputs")
    return workspace


def test_a_finished_sweep_has_nothing_to_resume(copied: Path, command: Command) -> None:
    done = command("-m", "resume=last")
    assert done.returncode == 0, done.stderr
    assert "4 runs of 2 variants: 0 to train, 4 already trained" in done.stdout
    assert epochs_logged(copied) == dict.fromkeys(range(4), 1)


@pytest.mark.e2e
def test_a_larger_sweep_trains_only_its_new_runs(copied: Path, command: Command) -> None:
    before = results_of(copied)
    words = (*TINY, "trainer.epochs=1", "tracking=none", "sweep.workers=1", "model.dropout=0", "seed=1,2,3")
    done = command("-m", *words, "hydra/launcher=archsearch", "resume=last")
    assert done.returncode == 0, done.stderr
    assert "3 runs of 1 variant: 1 to train, 2 already trained" in done.stdout
    after = results_of(copied)
    assert {number: result["run_id"] for number, result in before.items()} == {
        number: after[number]["run_id"] for number in before
    }
    assert after[4]["seed"] == 3
    assert epochs_logged(copied) == dict.fromkeys(range(5), 1)


def test_other_runs_do_not_resume_a_sweep(copied: Path, command: Command) -> None:
    done = command("-m", *TINY, "trainer.epochs=2", "seed=1,2", "resume=last")
    assert done.returncode == 2 and "none of these runs is in the sweep" in done.stderr


def test_a_new_sweep_does_not_overwrite_another_one(copied: Path, command: Command) -> None:
    name = sweep_folder(copied).name
    done = command("-m", *TINY, "seed=1,2", f"hydra.sweep.dir=outputs/sweeps/{name}")
    assert done.returncode == 2 and f"already holds a sweep: continue it with -m resume={name}" in done.stderr


def test_the_last_sweep_is_the_one_that_went_on_last_even_if_the_clock_was_set_back(
    copied: Path, command: Command
) -> None:
    sweeps = copied / "outputs" / "sweeps"
    sweep_folder(copied).rename(sweeps / "earlier")
    shutil.copytree(sweeps / "earlier", sweeps / "later")
    for name, started in (("earlier", "2099-01-01T00:00:00+00:00"), ("later", "2001-01-01T00:00:00+00:00")):
        content = json.loads((sweeps / name / "sweep.json").read_text())
        (sweeps / name / "sweep.json").write_text(json.dumps(content | {"started": started}))
        assert command("-m", f"resume={name}").returncode == 0
        assert json.loads((sweeps / name / "sweep.json").read_text())["started"] == started
    done = command("-m", "resume=last")
    assert done.returncode == 0 and f"folder   {Path('outputs/sweeps/later')}" in done.stdout


def test_a_sweep_is_not_resumed_as_a_run(copied: Path, command: Command) -> None:
    done = command(f"resume={sweep_folder(copied)}")
    assert done.returncode == 2 and "this is a sweep, not a run" in done.stderr


def test_a_damaged_sweep_is_refused(copied: Path, command: Command) -> None:
    (sweep_folder(copied) / "sweep.json").write_text("{")
    done = command("-m", f"resume={sweep_folder(copied).name}")
    assert done.returncode == 2 and "sweep.json: not a sweep's" in done.stderr


@pytest.mark.sweep
def test_a_part_of_a_sweep_can_be_resumed_then_the_rest(cli: Cli, workspace: Path) -> None:
    words = (*TINY, "trainer.epochs=1", "tracking=none", "model.dropout=0,0.1", "seed=1,2")
    assert cli("-m", *words, "sweep.time_limit=0.01", "sweep.workers=1").returncode == 1
    assert set(states_of(workspace).values()) == {"FAILED"}
    part = cli("-m", *words, "model.dropout=0.1", "resume=last")
    assert part.returncode == 1  # two runs of the sweep are still missing
    assert states_of(workspace) == {0: "FAILED", 1: "FAILED", 2: "FINISHED", 3: "FINISHED"}
    rest = cli("-m", "resume=last", "sweep.time_limit=100")
    assert rest.returncode == 0, rest.stderr
    assert "4 runs of 2 variants: 2 to train, 2 already trained" in rest.stdout
    table = table_of(workspace)
    assert [table[number]["values"] for number in range(4)] == [
        {"model.dropout": dropout, "seed": seed} for dropout in ("0", "0.1") for seed in ("1", "2")
    ]


# A sweep begun by the previous version


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> TrainedSweep:
    """The sweep of version 0.1.0 (`sweep.json` in format 1), resumed by this version."""
    workspace = tmp_path_factory.mktemp("begun")
    shutil.copytree(DATA / OLD, workspace / "outputs" / "sweeps" / OLD)
    done = train_sweep(workspace, "resume=last", HERE)
    assert done.returncode == 0, done.stdout + done.stderr
    return TrainedSweep(workspace, done)


def test_fingerprints_of_the_previous_version_are_accepted(resumed: TrainedSweep) -> None:
    old = json.loads((DATA / OLD / "sweep.json").read_text())
    assert old["format"] == 1
    assert [run["fingerprint"] for run in record_of(resumed.workspace)["runs"]] == [
        run["fingerprint"] for run in old["variants"]
    ]


def test_runs_that_the_previous_version_finished_are_not_trained_again(resumed: TrainedSweep) -> None:
    summary = "12 runs of 9 variants: 2 to train, 1 already trained, 4 over budget, 4 invalid, 1 duplicate"
    assert summary in resumed.done.stdout
    assert (resumed.folder / "0" / "result.json").read_text() == (DATA / OLD / "0" / "result.json").read_text()


def test_a_run_that_the_previous_version_began_continues_from_its_checkpoint(resumed: TrainedSweep) -> None:
    assert epochs_logged(resumed.workspace) == {3: 2, 9: 3}
    log = (resumed.folder / "3" / "archsearch.log").read_text()
    assert "Epoch 1/3" not in log and "Epoch 2/3" in log


def test_states_of_the_previous_version_have_their_new_names(resumed: TrainedSweep) -> None:
    old = json.loads((DATA / OLD / "sweep.json").read_text())
    names = {"READY": "READY", "REJECTED": "OVER_BUDGET", "BROKEN": "INVALID", "DUPLICATE": "DUPLICATE"}
    states = [run["state"] for run in record_of(resumed.workspace)["runs"]]
    assert states == [names[run["verdict"]] for run in old["variants"]]
    assert set(states) == set(names.values())


@pytest.mark.parametrize("number", [0, 3, 9])
def test_the_numbers_are_those_of_the_previous_version_uninterrupted(resumed: TrainedSweep, number: int) -> None:
    expected = json.loads((DATA / "trained_by_0.1.0.json").read_text())[str(number)]
    result = results_of(resumed.workspace)[number]
    assert len(result["history"]) == len(expected["history"]) == 3
    # Equal to the last digit on the machine that trained both; other processors round otherwise.
    for epoch, numbers in zip(result["history"], expected["history"], strict=True):
        assert {name: epoch[name] for name in numbers} == pytest.approx(numbers, rel=0.01)
    assert result["final"]["test/accuracy"] == pytest.approx(expected["test/accuracy"], rel=0.01)
    assert result["final"]["test/loss"] == pytest.approx(expected["test/loss"], rel=0.01)


def test_configurations_of_the_previous_version_are_read(resumed: TrainedSweep) -> None:
    """Their `config.yaml` has `variant` where it is `sweep_run` now."""
    text = (DATA / OLD / "3" / "config.yaml").read_text()
    assert "\nvariant:\n" in text and "sweep_run" not in text
    config: dict[str, Any] = read_config(DATA / OLD / "3")
    assert "variant" not in config
    assert (config["sweep_run"]["number"], config["sweep_run"]["sweep"]) == (3, record_of(resumed.workspace)["id"])


def test_a_sweep_that_began_in_float32_stays_in_float32(resumed: TrainedSweep) -> None:
    assert record_of(resumed.workspace)["precision"] == "float32"
    assert read_config(resumed.folder / "9")["trainer"]["precision"] == "float32"


def test_the_best_run_gets_its_figures_from_the_configuration_of_the_previous_version(resumed: TrainedSweep) -> None:
    assert record_of(resumed.workspace)["shown"] == 0
    assert (resumed.folder / "0" / "curves.png").exists()
