"""The file of a SQLite store: made completely before it appears, so that an interruption cannot leave half of one.

MLflow makes a new database in some 50 migrations that take about 3 s, and cannot continue when one of them was
interrupted. So the database is made under another name, and renamed. A copy without any content is kept in the user's
cache folder, for the next store of the same version of MLflow.
"""

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from archsearch.errors import TrackingError
from archsearch.system.atomic import replacing

log = logging.getLogger(__name__)

Migrate = Callable[[Path], None]  # makes MLflow's tables in a new database

_LOCK_SECONDS = 120.0  # that another process may take to make the database
_COMPANIONS = ("", "-wal", "-shm", "-journal")
_OUR_TABLES = ("experiments", "runs")
_TEMPLATE_FORMAT = 2  # of the copy; format 1 could lack MLflow's default experiment


@contextmanager
def creation_lock(database: Path) -> Iterator[None]:
    """Hold the lock under which `database` is made. Creates its folder. Raises `TrackingError` if it is held."""
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{database}.lock", timeout=_LOCK_SECONDS):
            yield
    except Timeout:
        raise TrackingError(
            f"tracking store {database}: another process has been making it for {_LOCK_SECONDS:.0f} s; end that process"
        ) from None


def connect(database: Path, timeout: float = 0.5) -> sqlite3.Connection:
    """A connection to an existing database; `sqlite3.OperationalError` if there is none."""
    # Never use `open`: closing a file drops all locks that this process holds on it, including those of MLflow's
    # connections, and the next write may corrupt the database (sqlite.org/howtocorrupt.html, 2.2).
    return sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=rw", uri=True, timeout=timeout)


def copy_template(database: Path) -> bool:
    """Make `database` from the copy in the cache. Hold `creation_lock`. False if there is no usable copy."""
    template = _template_path()
    scratch = _scratch(database)
    if not _is_trustworthy(template):
        return False
    try:
        shutil.copyfile(template, scratch)
        if not _is_whole(scratch):
            return False
        _publish(scratch, database)
    except sqlite3.DatabaseError:  # damaged
        return False
    finally:
        _remove(scratch)
    return True


def make_database(database: Path, migrate: Migrate) -> None:
    """Make `database` with `migrate`, and keep a copy for the next time. Hold `creation_lock`."""
    scratch = _scratch(database)
    _remove(scratch)  # of a process that was killed
    try:
        with closing(sqlite3.connect(scratch)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        migrate(scratch)
        with suppress(OSError, sqlite3.Error):
            _keep_template(scratch)
        _publish(scratch, database)
    finally:
        _remove(scratch)


def is_missing(database: Path) -> bool:
    """Whether there is no database, or one without any table."""
    if not database.exists():
        return True
    with closing(connect(database)) as connection:
        return not _tables(connection)


def is_half_made(database: Path, schema: Callable[[], tuple[set[str], str]]) -> bool:
    """Whether making `database` was interrupted. `schema` returns the names of MLflow's tables, and their revision.

    The tables are then not all there, or not those of that revision, and no run was ever recorded. A database with
    tables of another program is not MLflow's.
    """
    with closing(connect(database)) as connection:
        names = _tables(connection)
        if "experiments" not in names:
            return False
        if "runs" in names and connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone():
            return False
        tables, revision = schema()
        extra = {name for name in names - tables if not name.startswith(("alembic_", "_alembic_", "sqlite_"))}
        return not extra and (_revision(connection) != revision or not tables <= names)


def set_aside(database: Path) -> Path:
    """Rename a half-made database and its companions, with a warning. Hold `creation_lock`. Returns its new path."""
    aside = database.with_name(f"{database.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
    for companion in _COMPANIONS:
        with suppress(FileNotFoundError):
            Path(f"{database}{companion}").rename(f"{aside}{companion}")
    log.warning(
        "WARNING: the tracking store %s was only half made, because its making was interrupted; it holds no run\n"
        "  it is kept as %s, and a new one is made",
        database,
        aside.name,
    )
    return aside


def is_usable(database: Path) -> bool:
    """Whether `database` exists and looks complete, as far as can be seen without MLflow."""
    if not database.exists():
        return False
    try:
        with closing(connect(database)) as connection:
            return _tables(connection).issuperset(_OUR_TABLES) and _revision(connection) is not None
    except sqlite3.OperationalError:  # locked for now
        return True


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _revision(connection: sqlite3.Connection) -> str | None:
    if "alembic_version" not in _tables(connection):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row is not None else None


def _scratch(database: Path) -> Path:
    return database.with_name(f".{database.name}.new")


def _publish(scratch: Path, database: Path) -> None:
    """Let `scratch` appear as `database`, in WAL mode, which lets others read while one writes."""
    artifacts, now = (database.absolute().parent / "artifacts").as_uri(), time.time_ns() // 1_000_000
    with closing(connect(scratch)) as connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ?, creation_time = ?, last_update_time = ?",
            (artifacts, now, now),
        )
        connection.commit()
        connection.execute("PRAGMA journal_mode=WAL")
    _sync(scratch)
    for companion in _COMPANIONS[1:]:  # of an empty database that is replaced
        Path(f"{database}{companion}").unlink(missing_ok=True)
    scratch.replace(database)
    with suppress(OSError):  # some file systems cannot
        _sync(database.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(scratch: Path) -> None:
    for companion in _COMPANIONS:
        Path(f"{scratch}{companion}").unlink(missing_ok=True)


def _template_path() -> Path:
    """The copy for the installed versions: the schema depends on them."""
    versions = "-".join(_version(package) for package in ("mlflow", "sqlalchemy", "alembic"))
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "archsearch" / f"mlflow-{versions}-{_TEMPLATE_FORMAT}.db"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _keep_template(scratch: Path) -> None:
    template = _template_path()
    template.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with replacing(template) as copy:
        copy.unlink(missing_ok=True)  # of a process that was killed
        with closing(connect(scratch)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        copy.chmod(0o600)


def _is_trustworthy(template: Path) -> bool:
    """Whether the file exists, and only this user could have written it."""
    try:
        statuses = [template.lstat(), template.parent.stat()]
    except OSError:
        return False
    if not hasattr(os, "geteuid"):  # Windows
        return template.is_file()
    return (
        template.is_file()
        and all(status.st_uid == os.geteuid() and not status.st_mode & 0o022 for status in statuses)
        and not template.is_symlink()
    )


def _is_whole(database: Path) -> bool:
    """Whether a copy of the template is a sound database with MLflow's tables and its default experiment."""
    with closing(connect(database)) as connection:
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            return False
        if not _tables(connection).issuperset(_OUR_TABLES) or _revision(connection) is None:
            return False
        return connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
