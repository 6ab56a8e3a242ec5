"""What a sweep records in MLflow: a parent run, and a child for each of its runs."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from archsearch.compose.overrides import as_typed
from tests.support.sweeps import TINY, TrainedSweep, record_of, results_of, sweep_folder, train_sweep

pytestmark = pytest.mark.e2e  # MLflow starts in every process


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> TrainedSweep:
    """4 runs of 2 variants, of one epoch each, in SQLite."""
    workspace = tmp_path_factory.mktemp("recorded")
    grid = ("model.dropout=0,0.1", "seed=1,2")
    done = train_sweep(workspace, *TINY, "trainer.epochs=1", "tracking.log_model=false", *grid)
    assert done.returncode == 0, done.stdout + done.stderr
    return TrainedSweep(workspace, done)


@pytest.fixture(scope="module")
def client(recorded: TrainedSweep) -> MlflowClient:
    return MlflowClient(f"sqlite:///{recorded.workspace}/outputs/mlflow.db")


@pytest.fixture(scope="module")
def children(recorded: TrainedSweep, client: MlflowClient) -> list[Run]:
    runs: list[Run] = client.search_runs(["1"], f'tags.sweep = "{record_of(recorded.workspace)["id"]}"')
    return runs


@pytest.fixture(scope="module")
def parent(recorded: TrainedSweep, client: MlflowClient) -> Run:
    return client.get_run(record_of(recorded.workspace)["tracking"]["run_id"])


def artifacts(client: MlflowClient, run: Run) -> set[str]:
    return {item.path for item in client.list_artifacts(run.info.run_id)}


def test_runs_are_named_by_the_settings_that_vary(children: list[Run]) -> None:
    names = [f"dropout={dropout} seed={seed}" for dropout in ("0", "0.1") for seed in (1, 2)]
    assert sorted(run.info.run_name for run in children) == names


def test_all_runs_finish(children: list[Run], parent: Run) -> None:
    assert {run.info.status for run in [*children, parent]} == {"FINISHED"}


def test_runs_are_children_of_the_sweeps_own_run(children: list[Run], parent: Run) -> None:
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_the_parent_has_the_overrides_and_the_table(recorded: TrainedSweep, parent: Run) -> None:
    overrides = record_of(recorded.workspace)["overrides"]
    assert parent.data.tags["sweep.overrides"] == " ".join(map(as_typed, overrides))
    description = parent.data.tags["mlflow.note.content"]
    assert description.startswith("4 runs of 2 variants, 4 trained in ") and "| dropout |" in description


def test_the_parent_has_tables_and_pictures(client: MlflowClient, parent: Run) -> None:
    assert artifacts(client, parent) == {"multirun.yaml", "table.csv", "table.json", "table.md", "ranking.png"}


def test_every_run_has_its_configuration_and_predictions(client: MlflowClient, children: list[Run]) -> None:
    for run in children:
        assert {"config.yaml", "layers.txt", "network.svg", "predictions.csv"} <= artifacts(client, run)


def test_only_one_of_the_best_runs_has_figures(client: MlflowClient, children: list[Run]) -> None:
    (shown,) = [run for run in children if "curves.png" in artifacts(client, run)]
    best = max(run.data.metrics["val/accuracy"] for run in children)
    assert shown.data.metrics["val/accuracy"] == best


def test_the_output_ends_with_the_page_of_the_sweep(recorded: TrainedSweep) -> None:
    (line,) = [line for line in recorded.done.stdout.splitlines() if line.startswith("MLflow ")]
    assert "python -m archsearch.ui  shows these runs at http://127.0.0.1:" in line and "/#/experiments/" in line
    assert f"tags.sweep%20%3D%20%22{record_of(recorded.workspace)['id']}%22" in line


def test_the_output_ends_with_the_page_that_compares_the_runs(recorded: TrainedSweep) -> None:
    (line,) = [line for line in recorded.done.stdout.splitlines() if line.startswith("compare ")]
    page = urlsplit(line.split()[-1]).fragment
    assert page.startswith("/compare-runs?")
    query = {name: json.loads(values[0]) for name, values in parse_qs(page.partition("?")[2]).items()}
    finished = [result["run_id"] for result in results_of(recorded.workspace).values()]
    assert sorted(query["runs"]) == sorted(finished) and query["experiments"] == ["1"]


def test_a_larger_sweep_keeps_its_parent_and_its_runs(
    recorded: TrainedSweep, client: MlflowClient, children: list[Run], parent: Run
) -> None:
    before = results_of(recorded.workspace)
    words = (*TINY, "trainer.epochs=1", "tracking.log_model=false", "seed=1,2,3", "model.dropout=0", "resume=last")
    larger = train_sweep(recorded.workspace, *words)
    assert larger.returncode == 0, larger.stderr
    sweep = record_of(recorded.workspace)
    assert sweep["tracking"]["run_id"] == parent.info.run_id
    runs = {run.info.run_id for run in client.search_runs(["1"], f'tags.sweep = "{sweep["id"]}"')}
    assert len(runs) == 5 and runs > {run.info.run_id for run in children}
    assert runs > {result["run_id"] for result in before.values()}


def test_a_sweep_that_is_resumed_elsewhere_goes_on_in_its_store(
    recorded: TrainedSweep, client: MlflowClient, tmp_path: Path
) -> None:
    folder = sweep_folder(recorded.workspace)
    done = train_sweep(tmp_path, f"resume={folder}")
    assert done.returncode == 0, done.stderr
    assert ": 0 to train, " in done.stdout
    assert not (tmp_path / "outputs").exists()
    assert record_of(recorded.workspace)["tracking"]["uri"] == client.tracking_uri
