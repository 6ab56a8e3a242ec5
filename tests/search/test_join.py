"""Processes that work on one study in PostgreSQL: python -m pytest -m cluster."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from archsearch.search.postgres import Database, is_away
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.processes import start, wait_until
from tests.support.sweeps import TINY, workers_of

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TRIALS = 9
OBJECTIVES = ("val/accuracy",)
SEARCH = (
    "-m", "hydra/sweeper=search", *TINY, "tracking=none", "trainer.epochs=4", "search.min_epochs=2",
    "model.dropout=interval(0,0.3)", "model.head.type=linear,gap", "search.lease=12", "sweep.workers=1",
    f"search.budget.trials={TRIALS}", "search.finalists=1", "search.finalist_seeds=2",
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


Begin = Callable[..., "Popen[str]"]


@pytest.fixture
def begin(workspace: Path, server: PostgresServer) -> Iterator[Begin]:
    """Begins a process that works on the study in a folder, beside the test."""
    processes = []

    def begin(name: str, *words: str) -> "Popen[str]":
        processes.append(join(workspace, server, name, *words))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            kill_everything(process)


def join(workspace: Path, server: PostgresServer, name: str, *words: str) -> "Popen[str]":
    joining = f"search.join=digits study.{server.port}", f"search.storage={server.uri}", f"hydra.sweep.dir={name}"
    return start(*SEARCH, *map(quoted, joining), *words, cwd=workspace)


def quoted(word: str) -> str:
    name, _, value = word.partition("=")
    return f"{name}='{value}'"


def results_in(folder: Path) -> dict[int, dict[str, Any]]:
    return {int(path.parent.name): json.loads(path.read_text()) for path in folder.glob("[0-9]*/result.json")}


def epochs_in(folder: Path) -> int:
    return sum(log.read_text().count("Train set: Average loss") for log in folder.glob("[0-9]*/archsearch.log"))


def trials_of(server: PostgresServer) -> list[optuna.trial.FrozenTrial]:
    """The proposals in the study, with what they reached last."""
    database = Database(server.uri, f"digits study.{server.port}")
    study = database.open_study(OBJECTIVES)
    database.storage.refresh(study.user_attrs)
    trials = study.get_trials()
    database.close()
    return [trial for trial in trials if "proposal" in trial.user_attrs]


def check_study(server: PostgresServer, folders: list[Path]) -> None:
    """The budget is that of all, networks are proposed once, and the study knows what each trial has reached."""
    trials = trials_of(server)
    assert len(trials) == TRIALS
    assert len({trial.user_attrs["proposal"]["identity"] for trial in trials}) == TRIALS
    results: dict[int, dict[str, Any]] = {}
    for folder in folders:
        assert not results.keys() & results_in(folder).keys()
        results |= results_in(folder)
    for trial in trials:
        if trial.state.name == "COMPLETE":
            reached = results[trial.number]
            assert trial.values == [reached["final"]["val/accuracy"]] and reached["epochs_trained"] in (2, 4)
        else:
            assert trial.state.name == "FAIL"
    assert any(result["state"] == "FINISHED" for result in results.values())
    assert all("test/accuracy" not in (result["final"] or {}) for result in results.values())


def finalists_in(folder: Path) -> int:
    return len(list(folder.glob("finalists/*/predictions.csv")))


def finish(process: "Popen[str]") -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=500)
    assert "Traceback" not in output + errors, output + errors
    return process.returncode, output, errors


def kill_everything(process: "Popen[str]") -> None:
    for pid in [process.pid, *workers_of(process)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def test_two_processes_share_the_budget_and_the_ranks_and_one_trains_the_finalists(
    workspace: Path, server: PostgresServer, begin: Begin
) -> None:
    folders = [workspace / name for name in ("a", "b")]
    processes = [begin(folder.name) for folder in folders]
    ends = [finish(process) for process in processes]
    assert [status for status, _, _ in ends] == [0, 0], ends
    check_study(server, folders)
    assert all(results_in(folder) for folder in folders)
    assert sorted(map(finalists_in, folders)) == [0, 2]
    output = "".join(output for _, output, _ in ends)
    assert output.count("whose process has ended the search") == 1 and output.count("than those of fresh seeds") == 1
    assert {trial.state.name for trial in trials_of(server)} == {"COMPLETE"}
    fronts = {(folder / "front.csv").read_text() for folder in folders}
    assert len(fronts) == 1
    states = [result["state"] for folder in folders for result in results_in(folder).values()]
    assert 2 <= states.count("FINISHED") <= 6  # a third of all, and what looked like it on the way

    late = finish(begin("late"))
    assert late[0] == 0 and "whose process has ended the search" in late[1], late
    status, _, errors = finish(begin("c", "optimizer.momentum=0.5"))
    assert status == 2 and "the search began with other settings: optimizer.momentum is 0.5, was 0.9" in errors
    status, _, errors = finish(begin("a", "resume=a", "search.join=another"))
    assert status == 2 and "works on the study digits" in errors


def test_the_trial_of_a_killed_process_is_given_up(workspace: Path, server: PostgresServer, begin: Begin) -> None:
    folders = [workspace / name for name in ("a", "b")]
    killed, other = (begin(folder.name) for folder in folders)
    wait_until(lambda: all(epochs_in(folder) >= 2 for folder in folders), 240)
    kill_everything(killed)
    status, output, errors = finish(other)
    assert status == 0, output + errors
    check_study(server, folders)
    assert finalists_in(folders[1]) == 2 and "than those of fresh seeds" in output
    unfinished = [trial for trial in trials_of(server) if trial.state.name == "FAIL"]
    assert len(unfinished) <= 1
    assert all(f"{trial.number}: given up, because nothing is heard of" in output for trial in unfinished)
    again = finish(begin("a", "resume=a"))
    assert again[0] == 0 and "whose process has ended the search" in again[1], again
    check_study(server, folders)


def test_the_lock_is_one_processs_and_is_lost_with_the_database(server: PostgresServer) -> None:
    one, other = (Database(server.uri, "locked").lock for _ in range(2))
    taken = threading.Event()

    def take() -> None:
        with other:
            taken.set()

    thread = threading.Thread(target=take)
    with one:
        with one:  # as a proposal does
            one.check()
        thread.start()
        assert not taken.wait(1)
    thread.join(20)
    assert taken.is_set()
    with Database(server.uri, "another").lock, one:
        server.stop()
        with pytest.raises(OperationalError) as lost:
            one.check()
        assert is_away(lost.value)
    with pytest.raises(OperationalError), one:
        pass
    server.start()
    with one:
        one.check()
    one.close()
    other.close()


def test_training_goes_on_while_the_database_is_away(workspace: Path, server: PostgresServer, begin: Begin) -> None:
    words = "trainer.epochs=20", "search.min_epochs=10", "search.budget.trials=4"
    folders = [workspace / name for name in ("a", "b")]
    processes = [begin(folder.name, *words) for folder in folders]
    wait_until(lambda: all(epochs_in(folder) >= 2 for folder in folders), 400)
    server.stop()
    stopped, before = time.monotonic(), epochs_in(folders[0])
    wait_until(lambda: epochs_in(folders[0]) >= before + 3, 100)
    time.sleep(max(0.0, 15 - (time.monotonic() - stopped)))  # longer than the lease
    server.start()
    ends = [finish(process) for process in processes]
    assert [status for status, _, _ in ends] == [0, 0], ends
    output = "".join(output for _, output, _ in ends)
    assert "the study's database does not answer; training goes on" in output
    assert "the study's database is back" in output and "given up" not in output
    trials = trials_of(server)
    assert len(trials) == 4 and {trial.state.name for trial in trials} == {"COMPLETE"}
    results = results_in(folders[0]) | results_in(folders[1])
    assert {trial.number: trial.values for trial in trials} == {
        number: [result["final"]["val/accuracy"]] for number, result in results.items()
    }
    assert all(epochs_in(folder) == sum(r["epochs_trained"] for r in results_in(folder).values()) for folder in folders)
