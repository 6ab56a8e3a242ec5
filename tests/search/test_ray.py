"""Searches whose trials are tasks of a local Ray: python -m pytest -m cluster."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from archsearch.errors import ConfigError
from archsearch.sweep import ray_cluster
from archsearch.sweep.ray_cluster import Share, blind_nodes, cluster
from tests.support.processes import Cli, children_of, start, wait_until
from tests.support.sweeps import (
    TINY,
    epochs_logged,
    finish,
    record_of,
    results_of,
    sweep_folder,
    train_sweep,
    wait_for_epochs,
)

TRIALS = 12
SEARCH = (
    "-m", "hydra/sweeper=search", "search.engine=ray", *TINY, "tracking=none", "trainer.epochs=4",
    "search.min_epochs=2", "model.dropout=interval(0,0.3)", "model.head.type=linear,gap",
    f"search.budget.trials={TRIALS}", "search.finalists=1", "search.finalist_seeds=2",
)  # fmt: skip


def check_complete(workspace: Path) -> None:
    """All trials are stopped or trained, each epoch once or almost so; finalists have read the test set."""
    results = results_of(workspace)
    assert len(results) == TRIALS and {result["state"] for result in results.values()} == {"STOPPED", "FINISHED"}
    logged = epochs_logged(workspace)
    assert all(
        result["epochs_trained"] <= logged[number] <= result["epochs_trained"] + 1 for number, result in results.items()
    )
    assert all("test/accuracy" not in result["final"] for result in results.values())
    finalists = [json.loads(path.read_text()) for path in sweep_folder(workspace).glob("finalists/*/result.json")]
    assert [result["state"] for result in finalists] == ["FINISHED"] * 2
    assert all("test/accuracy" in result["final"] for result in finalists)
    assert record_of(workspace)["state"] == "FINISHED"


def tasks_of(process: "Popen[str]") -> list[int]:
    """The processes in which Ray trains for a search (on Linux)."""

    def below(pid: int) -> Iterator[int]:
        for child in children_of(pid):
            yield child
            yield from below(child)

    return [pid for pid in below(process.pid) if b"train_in_task" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.cluster
def test_a_search_of_twelve_trials(cli: Cli, workspace: Path) -> None:
    done = cli(*SEARCH)
    assert done.returncode == 0, done.stdout + done.stderr
    check_complete(workspace)
    assert not list(sweep_folder(workspace).glob(".seen-by*")) and "Ray" not in done.stdout + done.stderr


@pytest.mark.cluster
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_task_costs_an_attempt_and_after_ctrl_c_processes_can_go_on(cli: Cli, workspace: Path) -> None:
    process = start(*SEARCH, cwd=workspace)
    wait_for_epochs(workspace, 3)
    wait_until(lambda: bool(tasks_of(process)))
    os.kill(tasks_of(process)[0], signal.SIGKILL)
    trained = sum(epochs_logged(workspace).values())
    wait_for_epochs(workspace, trained + 4)
    process.send_signal(signal.SIGINT)
    status, output, errors = finish(process)
    assert status == 130 and "its process or its node died" in output and "attempt 2" in output, output + errors
    before = results_of(workspace)
    assert "FAILED" not in {result["state"] for result in before.values()} and len(before) < TRIALS
    done = cli("-m", "resume=last", "search.engine=archsearch")
    assert done.returncode == 0, done.stdout + done.stderr
    check_complete(workspace)


@pytest.mark.cluster
def test_a_node_that_does_not_see_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(tmp_path, Share(1)):
        (problem,) = blind_nodes(tmp_path / "elsewhere" / "file")
        assert problem.startswith("node ") and problem.endswith(f"does not see {tmp_path / 'elsewhere'}")
        with pytest.raises(ConfigError, match="no node of the cluster has 1000 CPUs"), cluster(tmp_path, Share(1000)):
            pass
        monkeypatch.setattr(ray_cluster, "blind_nodes", lambda file: [problem])
        with pytest.raises(ConfigError, match="all nodes must see the search's folder"), cluster(tmp_path, Share(1)):
            pass
    assert not list(tmp_path.iterdir())


def test_runs_get_what_one_node_has() -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 3.0, "GPU": 1.0}},
        {"Alive": True, "Resources": {"CPU": 8.0}},
        {"Alive": False, "Resources": {"CPU": 100.0, "GPU": 8.0}},
        {"Alive": True, "Resources": {}},
    ]
    assert Share(1).places(nodes) == 11
    assert Share(2).places(nodes) == 1 + 4
    assert Share(1, 1).places(nodes) == 1
    assert Share(1, 1 / 3).places(nodes) == 3
    assert Share(9).places(nodes) == 0


def test_without_ray_it_is_refused(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    done = train_sweep(workspace, *SEARCH[1:])
    assert done.returncode == 2
    assert "search.engine: got ray, but its package is not installed; run pip install 'archsearch[ray]'" in done.stderr
    assert not list(workspace.iterdir())


@pytest.mark.parametrize(
    ("address", "problem"), [("127.0.0.1:1", "Connection refused"), ("ray://127.0.0.1:1", "must be HOST:PORT or auto")]
)
def test_a_cluster_that_is_not_there_is_named(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, address: str, problem: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    done = train_sweep(workspace, *SEARCH[1:])
    assert done.returncode == 2 and f"RAY_ADDRESS={address} does not answer: " in done.stderr and problem in done.stderr
