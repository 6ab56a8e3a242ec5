"""The tracking store: which one is used, what is rejected, and its creation by several processes at once."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archsearch.errors import TrackingError
from archsearch.tracking.store import Store, check_store, create_store, open_experiment, resolve_store
from tests.support.processes import REPOSITORY
from tests.support.runs import mlflow_client, steps_of


def sqlite_store(path: Path) -> Store:
    return Store(f"sqlite:///{path}")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Store]:
    """A store whose write lock another connection holds."""
    store = sqlite_store(tmp_path / "x.db")
    create_store(store)
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield store
    connection.close()


def test_the_default_store_is_sqlite_in_the_outputs(tmp_path: Path) -> None:
    assert resolve_store(None, tmp_path) == sqlite_store(tmp_path / "mlflow.db")


def test_the_environment_variable_replaces_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert resolve_store(None, tmp_path).uri == "http://127.0.0.1:1"


def test_an_empty_environment_variable_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert resolve_store(None, tmp_path) == sqlite_store(tmp_path / "mlflow.db")


def test_the_setting_wins_over_the_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert resolve_store("sqlite:///x.db", tmp_path).uri == "sqlite:///x.db"


def test_a_plain_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        TrackingError, match=r"MLflow no longer supports plain folders; use sqlite:///mlruns/mlflow\.db"
    ):
        resolve_store("mlruns", tmp_path)


def test_a_path_that_no_uri_can_contain_is_rejected() -> None:
    with pytest.raises(TrackingError, match=r"a database URI cannot contain '\?'"):
        resolve_store(None, Path("/what?/outputs"))


def test_the_database_is_the_path_of_the_uri_without_its_query() -> None:
    assert Store("sqlite:///x.db?timeout=30").database == Path("x.db")
    assert Store("http://127.0.0.1:1").database is None


def test_passwords_are_not_shown() -> None:
    assert str(Store("https://me:secret@example.org/mlflow")) == "https://me:***@example.org/mlflow"


def test_a_server_that_does_not_answer_is_rejected() -> None:
    with pytest.raises(TrackingError, match=r"does not answer: .*refused.* or use tracking=none"):
        check_store(Store("http://127.0.0.1:9"))


def test_a_file_that_is_no_database_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is no database at all")
    with pytest.raises(TrackingError, match="is not a SQLite database"):
        check_store(sqlite_store(tmp_path / "x.db"))


def test_a_database_of_another_program_is_rejected(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.execute("create table alembic_version (version_num varchar)")
    connection.execute("insert into alembic_version values ('not one of MLflow')")
    connection.commit()
    connection.close()
    with pytest.raises(TrackingError, match="cannot be opened"):
        open_experiment(sqlite_store(tmp_path / "old.db"), "archsearch")


def test_a_store_in_a_file_instead_of_a_folder_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrackingError, match="cannot be created"):
        create_store(sqlite_store(tmp_path / "file" / "x.db"))


def test_a_new_store_lets_others_read_while_one_writes(tmp_path: Path) -> None:
    create_store(sqlite_store(tmp_path / "x.db"))
    connection = sqlite3.connect(tmp_path / "x.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_locked_database_is_accepted_before_a_run(locked: Store) -> None:
    check_store(locked)


def test_a_locked_database_accepts_no_writes_now(locked: Store) -> None:
    assert not locked.answers()


def test_an_unlocked_database_accepts_writes(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path / "x.db")
    create_store(store)
    assert store.answers()


@pytest.mark.e2e
def test_several_processes_can_create_the_store_at_once(workspace: Path) -> None:
    """Each opens the new store and logs a run. If two migrated the database together, it would be corrupted."""
    script = """
import sys
from pathlib import Path
from archsearch.tracking.store import open_experiment, resolve_store
client, experiment = open_experiment(resolve_store(None, Path("outputs")), "archsearch")
run = client.create_run(experiment, run_name=sys.argv[1])
for step in range(5):
    client.log_metric(run.info.run_id, "x", step, step=step)
client.set_terminated(run.info.run_id)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(number)], cwd=workspace, env=environment, stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    client = mlflow_client()
    (experiment,) = (experiment for experiment in client.search_experiments() if experiment.name != "Default")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["0", "1", "2", "3"]
    assert all(steps_of(client, run.info.run_id, "x") == list(range(5)) for run in runs)
