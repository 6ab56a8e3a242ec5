"""The file of a SQLite store: it appears complete, from a copy if there is one, and half-made ones are set aside."""

import multiprocessing
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from archsearch.errors import TrackingError
from archsearch.tracking import database
from archsearch.tracking.store import Store, create_store, import_store, open_experiment, resolve_store


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty cache folder, in which the first store leaves its copy."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def made(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that was made without a copy."""
    store = store_in(tmp_path_factory.mktemp("made"))
    open_experiment(store, "archsearch")
    return store


def store_in(folder: Path) -> Store:
    return Store(f"sqlite:///{folder}/mlflow.db")


def template_in(cache: Path) -> Path:
    (template,) = (cache / "archsearch").glob("mlflow-*.db")
    return template


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(statement).fetchall()
        connection.commit()
    return rows


def damaged_copy(made: Store, folder: Path, *statements: str) -> Store:
    """A store as `made`, changed by SQL statements."""
    store = store_in(folder)
    assert made.database is not None and store.database is not None
    with closing(sqlite3.connect(made.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(store.database),))
    for statement in statements:
        query(store.database, statement)
    return store


def records(store: Store) -> bool:
    """Whether the store takes a run."""
    client, experiment = open_experiment(store, "archsearch")
    run = client.create_run(experiment)
    client.log_metric(run.info.run_id, "x", 1.0)
    client.set_terminated(run.info.run_id)
    return bool(client.get_run(run.info.run_id).info.status == "FINISHED")


def test_a_made_store_leaves_nothing_but_itself_and_its_lock(made: Store) -> None:
    assert made.database is not None
    names = {path.name for path in made.database.parent.iterdir()}
    assert names <= {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlflow.db.lock"}


def test_the_copy_holds_no_runs_and_is_only_the_users(made: Store, cache: Path) -> None:
    template = template_in(cache)
    assert template.stat().st_mode & 0o777 == 0o600
    assert query(template, "SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.usefixtures("made")
def test_the_next_store_is_complete_before_mlflow_opens_it(tmp_path: Path) -> None:
    create_store(store_in(tmp_path))
    assert database.is_usable(tmp_path / "mlflow.db")
    assert query(tmp_path / "mlflow.db", "PRAGMA journal_mode") == [("wal",)]
    location = query(tmp_path / "mlflow.db", "SELECT artifact_location FROM experiments WHERE experiment_id = 0")
    assert location == [((tmp_path / "artifacts").as_uri(),)]
    assert records(store_in(tmp_path))


@pytest.mark.usefixtures("made")
def test_a_copy_that_others_can_write_is_not_used(cache: Path, tmp_path: Path) -> None:
    template_in(cache).chmod(0o666)
    try:
        assert not database.copy_template(tmp_path / "mlflow.db")
    finally:
        template_in(cache).chmod(0o600)


@pytest.mark.usefixtures("made")
def test_a_copy_without_the_default_experiment_is_not_used(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incomplete = tmp_path / "cache" / "archsearch" / template_in(cache).name
    incomplete.parent.mkdir(mode=0o700, parents=True)
    incomplete.write_bytes(template_in(cache).read_bytes())
    incomplete.chmod(0o600)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert database.copy_template(tmp_path / "mlflow.db")
    with closing(sqlite3.connect(incomplete)) as connection:
        connection.execute("DELETE FROM experiments")
        connection.commit()
    assert not database.copy_template(tmp_path / "mlflow.db")


@pytest.mark.parametrize("keep", [0, 4096, 200_000], ids=["empty", "one page", "cut off"])
@pytest.mark.usefixtures("made")
def test_a_damaged_copy_is_not_used(keep: int, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "cache" / "archsearch" / template_in(cache).name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(template_in(cache).read_bytes()[:keep])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert not database.copy_template(tmp_path / "mlflow.db")
    assert not list(tmp_path.glob("*mlflow.db*"))


@pytest.mark.usefixtures("made")
def test_a_directory_with_both_quotes_in_its_name_can_have_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "both'\"quotes"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert records(resolve_store(None, Path("outputs")))


HALF_MADE = {
    "between two migrations": ["UPDATE alembic_version SET version_num = 'acf3f17fdcc7'"],
    "before its version was stored": ["DELETE FROM alembic_version"],
    "without a version": ["DROP TABLE alembic_version"],
    "without a table": ["DROP TABLE latest_metrics"],
    "amid a migration": ["DELETE FROM alembic_version", "CREATE TABLE _alembic_tmp_metrics (x)"],
}


@pytest.mark.parametrize("statements", HALF_MADE.values(), ids=HALF_MADE)
def test_a_half_made_store_is_set_aside_and_made_anew(
    statements: list[str], made: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = damaged_copy(made, tmp_path, *statements)
    assert records(store)
    (aside,) = tmp_path.glob("mlflow.db.broken-*")
    assert f"it is kept as {aside.name}" in caplog.text


def test_a_store_with_runs_is_never_set_aside(made: Store, tmp_path: Path) -> None:
    run = "INSERT INTO runs (run_uuid, name, status, lifecycle_stage) VALUES ('a', 'a', 'FINISHED', 'active')"
    store = damaged_copy(made, tmp_path, "PRAGMA ignore_check_constraints = 1", run, "DELETE FROM alembic_version")
    with pytest.raises(TrackingError, match="cannot be opened"):
        open_experiment(store, "archsearch")
    assert not list(tmp_path.glob("mlflow.db.broken-*"))


def test_a_database_of_another_program_is_never_set_aside(tmp_path: Path) -> None:
    query(tmp_path / "mlflow.db", "CREATE TABLE experiments (x)")
    query(tmp_path / "mlflow.db", "CREATE TABLE recipes (x)")
    with pytest.raises(TrackingError, match="cannot be opened"):
        open_experiment(store_in(tmp_path), "archsearch")
    assert not list(tmp_path.glob("mlflow.db.broken-*"))


def test_an_empty_database_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    assert records(store_in(tmp_path))
    assert not list(tmp_path.glob("mlflow.db.broken-*"))


def open_store(folder: Path) -> None:
    open_experiment(store_in(folder), "archsearch")


@pytest.mark.parametrize("kills", [pytest.param(10, marks=pytest.mark.e2e), pytest.param(50, marks=pytest.mark.slow)])
def test_a_store_whose_making_is_killed_at_any_moment_is_not_lost(
    kills: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    import_store(store_in(tmp_path))
    context = multiprocessing.get_context("fork")  # with MLflow imported, so that the kill meets the making
    draw = random.Random(13)
    seconds, early, started = 2.0, 0, 0
    for number in range(kills):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        folder = tmp_path / str(number)
        folder.mkdir()
        process = context.Process(target=open_store, args=(folder,))
        process.start()
        begun = time.monotonic()
        process.join(draw.uniform(0, seconds))
        early += process.is_alive()
        started += process.is_alive() and (folder / ".mlflow.db.new").exists()
        process.kill()
        process.join()
        if process.exitcode == 0:
            seconds = min(seconds, time.monotonic() - begun)
        assert (folder / "mlflow.db").exists() <= database.is_usable(folder / "mlflow.db")
        assert records(store_in(folder))
        assert not list(folder.glob("mlflow.db.broken-*"))
    assert early > kills // 2 and started > kills // 4
