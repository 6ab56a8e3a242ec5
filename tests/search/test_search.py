"""The command, from the space to the finalists. It starts workers: python -m pytest -m e2e."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pandas
import pytest

import archsearch
from archsearch.errors import ConfigError
from tests.support.runs import isolated, mlflow_client
from tests.support.sweeps import TINY, record_of, results_of, sweep_folder, train_sweep

pytestmark = pytest.mark.e2e

SEARCH = (
    "hydra/sweeper=search", *TINY, "trainer.epochs=3", "search.space=blocks", "search.objectives=[val/accuracy,params]",
    "constraints.max_params=3000", "search.budget.trials=7", "search.finalists=2", "search.finalist_seeds=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def workspace_of_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def done(workspace_of_search: Path) -> "CompletedProcess[str]":
    """A search of whole architectures with two objectives."""
    done = train_sweep(workspace_of_search, *SEARCH)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def trials(done: "CompletedProcess[str]", workspace_of_search: Path) -> dict[int, dict[str, Any]]:
    del done
    return results_of(workspace_of_search)


def test_it_says_what_it_searches_and_how_optimistic_it_is(done: "CompletedProcess[str]") -> None:
    assert "space: whole architectures" in done.stdout
    assert "These accuracies chose the trials, so they are optimistic; the test set has not been read." in done.stdout
    assert "than those of fresh seeds" in done.stdout
    assert re.search(r"^page     outputs/sweeps/.*/search\.html$", done.stdout, re.MULTILINE)


def test_every_trial_respects_the_budget_and_leaves_the_test_set(trials: dict[int, dict[str, Any]]) -> None:
    assert len(trials) == 7 and all(result["params"] <= 3000 for result in trials.values())
    assert all(not any(key.startswith("test") for key in result["final"]) for result in trials.values())
    assert {result["state"] for result in trials.values()} == {"STOPPED", "FINISHED"}


def test_the_front_is_that_of_the_fully_trained_trials(
    trials: dict[int, dict[str, Any]], workspace_of_search: Path
) -> None:
    front = pandas.read_csv(sweep_folder(workspace_of_search) / "front.csv", index_col="trial")
    finished = {number: result for number, result in trials.items() if result["state"] == "FINISHED"}
    for number, result in finished.items():
        point = result["final"]["val/accuracy"], result["params"]
        dominated = any(
            other["final"]["val/accuracy"] >= point[0] and other["params"] <= point[1]
            and (other["final"]["val/accuracy"], other["params"]) != point
            for other in finished.values()
        )  # fmt: skip
        assert (number in front.index) == (not dominated)


def test_the_finalists_have_fresh_seeds_and_the_test_set(
    done: "CompletedProcess[str]", workspace_of_search: Path
) -> None:
    del done
    folder = sweep_folder(workspace_of_search) / "finalists"
    results = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    assert sorted({result["seed"] for result in results}) == [1001, 1002]
    assert all("test/accuracy" in result["final"] for result in results)
    assert all((path.parent / "predictions.csv").is_file() for path in folder.glob("*/result.json"))


def test_mlflow_has_the_search_and_its_finalists_with_their_runs(
    trials: dict[int, dict[str, Any]], workspace_of_search: Path
) -> None:
    with isolated(workspace_of_search):
        client = mlflow_client()
        runs = client.search_runs(["1"])
    parents = {run.info.run_name: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    search = parents.pop("search of architectures")
    assert list(parents) == [f"finalists of {sweep_folder(workspace_of_search).name}"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == search.info.run_id]
    assert {run.data.tags["state"] for run in children} == {"STOPPED", "FINISHED"} and len(children) == len(trials)
    assert search.info.status == "FINISHED"
    files = {file.path for file in client.list_artifacts(search.info.run_id)}
    assert {"front.csv", "search.png", "search.html"} <= files
    trained = [result for result in trials.values() if result["state"] == "FINISHED"]
    best = max(result["final"]["val/accuracy"] for result in trained)
    assert search.data.metrics["best/val/accuracy"] == best and 0 < search.data.metrics["hypervolume"] <= 1
    assert all(run.data.metrics["params"] <= 3000 for run in children)


def test_its_page_has_the_finalists(done: "CompletedProcess[str]", workspace_of_search: Path) -> None:
    del done
    page = (sweep_folder(workspace_of_search) / "search.html").read_text()
    assert "Networks of the finalists" in page and page.count("#/experiments/1/runs/") > 0


def test_the_report_names_finalists_by_trial(done: "CompletedProcess[str]", workspace_of_search: Path) -> None:
    del done
    folder = sweep_folder(workspace_of_search) / "finalists"
    with isolated(workspace_of_search):
        variants = archsearch.make_report(f"sweep={folder}").leaderboard["variant"]
    assert all(re.fullmatch(r"trial=\d+", variant) for variant in variants)


def test_python_finds_it(done: "CompletedProcess[str]", workspace_of_search: Path) -> None:
    del done
    with isolated(workspace_of_search):
        search = archsearch.load(sweep_folder(workspace_of_search))
        assert isinstance(search, archsearch.Search)
        assert set(search.front.index) <= set(search.table.index) and len(search.finalists.runs) == 4
        assert repr(archsearch.load("last")) == repr(search)
        assert "-m hydra/sweeper=search " in archsearch.make_report().text
    assert record_of(workspace_of_search)["state"] == "FINISHED"


def test_it_does_not_go_on_with_other_settings(done: "CompletedProcess[str]", workspace_of_search: Path) -> None:
    del done
    refused = train_sweep(workspace_of_search, "resume=last", "trainer.epochs=5")
    assert refused.returncode == 2 and "other settings: trainer.epochs is 5, was 3; restore" in refused.stderr


def test_a_search_of_failures_fails(workspace: Path) -> None:
    words = ("hydra/sweeper=search", *TINY, "tracking=none", "trainer.epochs=1", "search.budget.trials=2")
    done = train_sweep(workspace, *words, "optimizer.lr=interval(1e10,1e20)")
    assert done.returncode == 1 and "all trials (2) failed; see their logs" in done.stderr
    assert record_of(workspace)["state"] == "FAILED"


def test_a_search_from_python_refuses_what_the_command_refuses(workspace: Path) -> None:
    with pytest.raises(ConfigError, match=r"search.sampler: got 'foo'"):
        archsearch.run_search(*TINY, "model.dropout=0,0.1", "search.sampler=foo")
    assert not list(workspace.iterdir())
