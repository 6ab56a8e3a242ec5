"""`archsearch.run_sweep` and `Sweep`, and reports on sweeps."""

import logging
import os
import threading
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

import archsearch
from archsearch.compose.overrides import as_typed
from archsearch.sweep.record import SweepRecord
from tests.support.runs import isolated, without_times
from tests.support.sweeps import HERE, TINY, record_of, results_of, train_sweep

pytestmark = pytest.mark.e2e  # whole runs, in this process

SETTINGS = (
    *TINY, "tracking=none", "trainer.epochs=1", "model.width=0.4,0.5", "seed=1,2", "sweep.workers=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> archsearch.Sweep:
    """Four runs of two variants, trained from Python, in this process."""
    with isolated(tmp_path_factory.mktemp("sweep")):
        return archsearch.run_sweep(*SETTINGS, HERE)


def test_the_table_has_a_row_for_each_run_the_best_on_top(sweep: archsearch.Sweep) -> None:
    table = sweep.table
    assert sorted(table.index) == [0, 1, 2, 3] and table.index.name == "number"
    assert set(table["model.width"]) == {0.4, 0.5} and set(table["seed"]) == {1, 2}
    assert (table["state"] == "FINISHED").all() and table["val_final"].is_monotonic_decreasing
    assert list(table["params"].loc[[0, 2]]) == [1_042, 1_480]


def test_variants_have_means_and_deviations_over_seeds(sweep: archsearch.Sweep) -> None:
    variants, table = sweep.variants, sweep.table
    assert list(variants["n"]) == [2, 2] and "seed" not in variants.columns
    for _, variant in variants.iterrows():
        finals = table.loc[table["model.width"] == variant["model.width"], "val_final"]
        assert variant["val_final"] == pytest.approx(finals.mean())
        assert variant["val_final_sd"] == pytest.approx(finals.std())


def test_missing_numbers_are_nan_in_columns_of_numbers(sweep: archsearch.Sweep) -> None:
    for table in (sweep.table, sweep.variants):
        numeric = [name for name in table.columns if name.startswith(("val_", "test", "seconds"))]
        assert numeric and all(table[name].dtype == "float64" for name in numeric)


@pytest.mark.e2e
def test_flags_are_true_and_false(workspace: Path) -> None:
    table = archsearch.run_sweep(
        *TINY, "tracking=none", "trainer.epochs=1", "trainer.channels_last=true,false", "sweep.workers=1"
    ).table
    assert table["trainer.channels_last"].sort_index().tolist() == [True, False]


@pytest.mark.e2e
def test_a_sweep_leaves_the_process_as_it_was(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/mine.db")
    mlflow.set_tracking_uri(f"sqlite:///{workspace}/mine.db")
    torch.manual_seed(5)
    before = dict(os.environ), torch.get_rng_state(), torch.get_num_threads(), logging.getLogger().handlers[:]
    settings = (*TINY, "trainer.epochs=1", "seed=1,2", "sweep.workers=1", "trainer.threads=2")
    archsearch.run_sweep(*settings, f"tracking.uri=sqlite:///{workspace}/theirs.db")
    assert mlflow.get_tracking_uri() == f"sqlite:///{workspace}/mine.db"
    assert dict(os.environ) == before[0] and torch.get_num_threads() == before[2]
    assert torch.equal(torch.get_rng_state(), before[1]) and logging.getLogger().handlers == before[3]
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_runs_are_those_of_the_table(sweep: archsearch.Sweep) -> None:
    assert [run.result["sweep_run"]["number"] for run in sweep.runs] == [0, 1, 2, 3]
    assert {run.id for run in sweep.runs} == set(sweep.table["run_id"])
    assert sum(value.numel() for value in sweep.runs[2].network().parameters()) == 1_480
    assert "4 runs, FINISHED" in repr(sweep)


def test_its_folder_is_a_sweeps(sweep: archsearch.Sweep) -> None:
    assert isinstance(sweep.record, SweepRecord) and list(map(as_typed, sweep.record.overrides)) == list(SETTINGS)
    assert sweep.folder.parent.name == "sweeps"
    assert {"sweep.json", "multirun.yaml", "table.csv", "sweep.log"} <= {path.name for path in sweep.folder.iterdir()}


def test_load_finds_it(sweep: archsearch.Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep.folder.parents[2])
    for name in ("last", sweep.folder.name, sweep.folder, str(sweep.folder)):
        loaded = archsearch.load(name)
        assert isinstance(loaded, archsearch.Sweep) and loaded.folder == sweep.folder
    run = archsearch.load(sweep.runs[1].id)
    assert isinstance(run, archsearch.Run) and run.folder == sweep.runs[1].folder


@pytest.mark.e2e
def test_the_command_leaves_the_same_record_and_numbers(sweep: archsearch.Sweep, workspace: Path) -> None:
    assert train_sweep(workspace, *SETTINGS).returncode == 0
    by_command, by_function = record_of(workspace), vars(sweep.record)
    for key in ("overrides", "keys", "config_dir", "state"):
        assert by_command[key] == by_function[key]
    assert (by_command["hydra"], by_function["hydra"]) == ([], [HERE])
    results = results_of(workspace)
    for number, run in enumerate(sweep.runs):
        assert without_times(results[number]) == without_times(run.result)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("model.dropout=0,2",), "model.dropout: got 2, must be less than 1"),
        (("optimizer=adan,sgd",), "optimizer: got 'adan', must be one of adam, adamw, sgd"),
        (("--cfg", "job"), "run_sweep: got --cfg, must be settings, without flags"),
        (("resume=last",), "resume=last: no sweep under outputs/"),
    ],
)
def test_invalid_sweeps_raise_and_leave_nothing(settings: tuple[str, ...], message: str, workspace: Path) -> None:
    with pytest.raises(archsearch.UserError) as caught:
        archsearch.run_sweep(*settings)
    assert message in str(caught.value)
    assert not list(workspace.iterdir())
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.e2e
@pytest.mark.usefixtures("workspace")
def test_a_sweep_with_a_failed_run_raises_and_can_be_loaded_and_resumed() -> None:
    settings = (*TINY, "tracking=none", "trainer.epochs=1", "optimizer.lr=0.01,1e20", "sweep.workers=1")
    with pytest.raises(archsearch.SweepError, match="1 of 2 runs did not finish"):
        archsearch.run_sweep(*settings)
    sweep = archsearch.load("last")
    assert isinstance(sweep, archsearch.Sweep)
    assert list(sweep.table["state"]) == ["FINISHED", "FAILED"]
    with pytest.raises(archsearch.SweepError):
        archsearch.run_sweep("resume=last")


@pytest.mark.e2e
@pytest.mark.usefixtures("workspace")
def test_a_sweep_works_in_a_thread() -> None:
    sweeps: list[archsearch.Sweep] = []
    settings = (*TINY, "tracking=none", "trainer.epochs=1", "seed=1,2", "sweep.workers=1")
    thread = threading.Thread(target=lambda: sweeps.append(archsearch.run_sweep(*settings)))
    thread.start()
    thread.join()
    assert list(sweeps[0].table["state"]) == ["FINISHED"] * 2


def test_a_report_returns_the_leaderboard_and_writes_the_page(
    sweep: archsearch.Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    report = archsearch.make_report(f"sweep={sweep.folder}", "tracking.uri=sqlite:///unused.db")
    assert report.path == sweep.folder / "report.html" and report.path.is_file()
    board = report.leaderboard
    assert list(board["number"]) == [1, 2] and set(board["model.width"]) == {0.4, 0.5}
    assert board["validation"].iloc[0] == pytest.approx(sweep.variants["val_final"].iloc[0])
    assert str(report) == report.text and "Accuracy against parameters" in report.text
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), "sweep=last: no sweep under outputs/"),
        (("compare=a",), "compare: got 'a', must be two variants: compare=A,B"),
        (("swep=last",), "swep: unknown setting (did you mean sweep?)"),
        (("tracking.uri=[",), "tracking.uri"),
    ],
)
def test_reports_raise_their_errors(settings: tuple[str, ...], message: str) -> None:
    with pytest.raises(archsearch.UserError) as caught:
        archsearch.make_report(*settings)
    assert message in str(caught.value)
