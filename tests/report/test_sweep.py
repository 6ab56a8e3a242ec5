"""Reports on a trained sweep: from its folder, from its MLflow store, and from a server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import UserError
from archsearch.report.options import parse_options
from archsearch.report.sources import Sources
from archsearch.runs.folder import OUTPUTS
from archsearch.tracking.store import resolve_store
from tests.support.mlflow_server import MlflowServer
from tests.support.processes import Cli, start
from tests.support.sweeps import TINY, record_of, results_of, sweep_folder

SWEEP = (
    "-m",
    *TINY,
    "trainer.epochs=1",
    "model.dropout=0,0.5",
    "seed=1,2",
    "tracking.log_model=false",
    "tracking.log_figures=false",
)


def results(output: str) -> list[str]:
    """The lines of a report with verdicts and accuracies, without titles and paths."""
    return [line for line in output.splitlines() if re.search(r"dropout=0.*(points|99|\d\d\.\d\d)", line)]


@pytest.fixture(scope="module")
def trained_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a sweep of two variants with two seeds was trained."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        process = start(*SWEEP, cwd=folder)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return folder


@pytest.fixture
def sweep(workspace: Path, trained_sweep: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, as working directory."""
    monkeypatch.chdir(trained_sweep)
    return trained_sweep


@pytest.fixture
def sweep_results(sweep: Path) -> dict[int, dict[str, Any]]:
    return results_of(sweep)


@pytest.fixture
def sweep_id(sweep: Path) -> str:
    return str(record_of(sweep)["id"])


@pytest.fixture
def store_alone(sweep: Path, sweep_results: object, sweep_id: object) -> Iterator[None]:
    """The sweep's folder is elsewhere for the duration of a test."""
    folder = sweep_folder(sweep)
    elsewhere = folder.rename(sweep / "elsewhere")
    yield
    elsewhere.rename(folder)


@pytest.fixture
def sources(sweep: Path, tmp_path: Path) -> Sources:
    return Sources(lambda: resolve_store(None, OUTPUTS), tmp_path)


@pytest.mark.sweep
def test_the_last_sweep_is_reported_on_by_default(report: Cli, sweep: Path) -> None:
    done = report()
    assert done.returncode == 0 and done.stderr == ""
    assert "scikit-learn digits, 250 held out, 297 test images: 4 runs of 2 variants, 2 seeds each" in done.stdout
    page = sweep_folder(sweep) / "report.html"
    assert f"page     {page.relative_to(sweep)}" in done.stdout and "dropout=0.5" in page.read_text()


@pytest.mark.sweep
def test_the_page_is_stored_with_the_run_of_the_sweep(report: Cli, sweep: Path) -> None:
    assert report().returncode == 0
    parent = record_of(sweep)["tracking"]["run_id"]
    (artifact,) = sweep.glob(f"outputs/artifacts/{parent}/artifacts/report.html")
    assert artifact.read_text() == (sweep_folder(sweep) / "report.html").read_text()


@pytest.mark.sweep
def test_a_report_from_the_store_equals_the_one_from_the_folder(
    report: Cli, sweep: Path, sweep_id: str, request: pytest.FixtureRequest
) -> None:
    from_folder = report()
    request.getfixturevalue("store_alone")
    from_store = report(f"sweep={sweep_id}")
    assert from_store.returncode == 0, from_store.stderr
    assert results(from_store.stdout) == results(from_folder.stdout) != []
    assert re.search(r"page     outputs/reports/\S+/report.html", from_store.stdout)


@pytest.mark.sweep
@pytest.mark.usefixtures("store_alone")
@pytest.mark.parametrize("argument", ["run={ids}", "experiment=archsearch"])
def test_all_runs_but_the_sweeps_own_are_selected_from_the_store(
    sources: Sources, sweep_results: dict[int, dict[str, Any]], argument: str
) -> None:
    accuracies = {result["run_id"]: result["final"]["val/accuracy"] for result in sweep_results.values()}
    options, _ = parse_options([argument.format(ids=",".join(accuracies))])
    runs = sources.select(options).runs
    assert {run.run_id: run.validation for run in runs} == accuracies
    assert all(run.best == run.validation for run in runs)


@pytest.mark.sweep
@pytest.mark.usefixtures("store_alone")
def test_a_filter_selects_runs_by_their_params(sources: Sources, sweep_results: dict[int, dict[str, Any]]) -> None:
    options, _ = parse_options(["filter=params.`model.dropout` = '0.5'"])
    second_half = {result["run_id"] for number, result in sweep_results.items() if number > 1}
    assert {run.run_id for run in sources.select(options).runs} == second_half


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("filter=params.`model.dropout` = '7'", "no runs found"),
        ("filter=params dropout", "Invalid"),
        ("experiment=archsarch", "has no such experiment (did you mean archsearch?)"),
        ("sweep=nix", "has none either"),
    ],
)
def test_a_selection_without_runs_is_refused(sources: Sources, argument: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        sources.select(parse_options([argument])[0])
    assert reason in str(caught.value)


@pytest.mark.cluster
def test_a_report_from_a_server_equals_the_one_from_the_folder(
    cli: Cli, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("server")
    server = MlflowServer(folder, f"sqlite:///{folder}/mlflow.db")
    environment = {"module": "archsearch.report", "MLFLOW_TRACKING_URI": server.uri}
    try:
        assert cli(*SWEEP, MLFLOW_TRACKING_URI=server.uri).returncode == 0
        record = record_of(workspace)
        assert len(results_of(workspace)) == 4
        from_folder = cli(**environment)
        assert from_folder.returncode == 0, from_folder.stderr
        sweep_folder(workspace).rename(workspace / "elsewhere")
        from_server = cli(f"sweep={record['id']}", "data.root=none", **environment)
        assert from_server.returncode == 0, from_server.stderr
        assert results(from_server.stdout) == results(from_folder.stdout) != []
        assert "McNemar" in from_server.stdout  # predictions are downloaded
        assert list(folder.glob("kept/**/report.html"))
    finally:
        server.kill()
