"""A small sweep without MLflow: what it prints, and the files it leaves."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command
from tests.support.sweeps import TINY, TrainedSweep, states_of, table_of, train_sweep


@pytest.mark.e2e
def test_every_run_of_the_grid_is_trained(trained: TrainedSweep) -> None:
    assert states_of(trained.workspace) == dict.fromkeys(range(4), "FINISHED")


@pytest.mark.e2e
def test_stderr_stays_empty(trained_by_worker: TrainedSweep) -> None:
    assert trained_by_worker.done.stderr == ""


def test_the_first_line_counts_runs_and_variants(trained: TrainedSweep) -> None:
    assert trained.done.stdout.startswith("4 runs of 2 variants: 4 to train; about ")


@pytest.mark.e2e
def test_each_run_gets_a_line_when_it_ends(trained_by_worker: TrainedSweep) -> None:
    lines = trained_by_worker.done.stdout.splitlines()
    assert sum(line.startswith("0 dropout=0 seed=1: val ") for line in lines) == 1
    assert sum(" parameters, " in line for line in lines) == 4


def test_the_printed_table_has_one_row_per_variant(trained: TrainedSweep) -> None:
    lines = trained.done.stdout.splitlines()
    heading = next(index for index, line in enumerate(lines) if "dropout" in line and "params" in line)
    assert lines[heading].split() == "dropout params MACs n val best sd val final sd test sd time".split()
    assert sorted(line.split()[0] for line in lines[heading + 1 : heading + 3]) == ["0", "0.1"]
    assert lines[heading + 3] == ""


def test_the_best_variant_is_the_mean_of_its_seeds(trained: TrainedSweep) -> None:
    means = [variant["val_final"]["mean"] for variant in _variants(trained.folder)]
    (line,) = [line for line in trained.done.stdout.splitlines() if line.startswith("best  ")]
    assert line.endswith(f": {max(means):.2f} % on validation, mean of 2 seeds")


def test_the_csv_table_has_one_row_per_run(trained: TrainedSweep) -> None:
    rows = list(csv.DictReader((trained.folder / "table.csv").read_text().splitlines()))
    assert [row["state"] for row in rows] == ["FINISHED"] * 4
    assert set(rows[0]) >= {"number", "model.dropout", "seed", "params", "macs", "val_best", "val_final", "test"}


def test_the_json_table_has_the_statistics_of_each_variant(trained: TrainedSweep) -> None:
    variants, rows = _variants(trained.folder), table_of(trained.workspace)
    assert [variant["val_final"]["n"] for variant in variants] == [2, 2]
    for variant in variants:
        accuracies = [rows[number]["val_final"] for number in variant["runs"]]
        assert variant["val_final"]["mean"] == pytest.approx(sum(accuracies) / 2)
        assert variant["val_final"]["sd"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)


def test_the_markdown_table_and_the_ranking_are_in_the_folder(trained: TrainedSweep) -> None:
    assert "| dropout |" in (trained.folder / "table.md").read_text()
    assert (trained.folder / "ranking.png").stat().st_size > 5000


@pytest.mark.e2e
def test_each_run_has_its_own_log(trained_by_worker: TrainedSweep) -> None:
    assert "Epoch 1/1" in (trained_by_worker.folder / "0" / "archsearch.log").read_text()


@pytest.mark.e2e
def test_the_sweeps_log_has_what_the_terminal_shows(trained_by_worker: TrainedSweep) -> None:
    messages = [line.split(": ", 1)[-1] for line in (trained_by_worker.folder / "sweep.log").read_text().splitlines()]
    assert set(messages) >= {line for line in trained_by_worker.done.stdout.splitlines() if line.startswith("folder ")}


def test_only_the_best_run_has_figures(trained: TrainedSweep) -> None:
    assert len(list(trained.folder.glob("*/curves.png"))) == 1


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> TrainedSweep:
    """Runs of every state: for each of two learning rates one to train, a duplicate, one over budget, one invalid."""
    workspace = tmp_path_factory.mktemp("mixed")
    done = train_sweep(workspace, *MIXED, "sweep.invalid=skip", "sweep.workers=1")
    return TrainedSweep(workspace, done)


MIXED = (
    *TINY,
    *("trainer.epochs=1", "tracking=none", "scheduler=constant", "optimizer.lr=0.05,1e18"),
    *("model.width=0.4,0.41,9,-1", "constraints.max_params=20000"),
)


def test_invalid_runs_stop_the_sweep_unless_they_are_skipped(command: Command, workspace: Path) -> None:
    refused = command("-m", *MIXED)
    assert refused.returncode == 2 and "model.width: got -1" in refused.stderr
    assert not (workspace / "outputs").exists()


@pytest.mark.e2e
def test_runs_that_cannot_be_trained_do_not_stop_the_others(mixed: TrainedSweep) -> None:
    states = {number: row["state"] for number, row in table_of(mixed.workspace).items()}
    assert [states[number] for number in range(8)] == [
        *("FINISHED", "DUPLICATE", "OVER_BUDGET", "INVALID"),
        *("FAILED", "DUPLICATE", "OVER_BUDGET", "INVALID"),
    ]


@pytest.mark.e2e
def test_a_failed_run_fails_the_sweep_with_its_reason(mixed: TrainedSweep) -> None:
    assert mixed.done.returncode == 1
    assert "lr=1e+18 width=0.4: FAILED: the training loss became" in mixed.done.stdout
    assert "1 of 8 runs did not finish" in mixed.done.stderr


@pytest.mark.e2e
def test_tracebacks_are_in_the_log_of_the_run_only(mixed: TrainedSweep) -> None:
    assert "Traceback" not in mixed.done.stderr + mixed.done.stdout
    log = (mixed.folder / "4" / "archsearch.log").read_text()
    assert "Traceback (most recent call last)" in log and "NonFiniteLossError" in log


@pytest.mark.e2e
def test_a_duplicate_has_the_numbers_of_the_run_that_it_equals(mixed: TrainedSweep) -> None:
    table = table_of(mixed.workspace)
    assert table[1]["val_final"] == table[0]["val_final"] is not None


def _variants(folder: Path) -> list[dict[str, Any]]:
    variants: list[dict[str, Any]] = json.loads((folder / "table.json").read_text())["variants"]
    return variants
