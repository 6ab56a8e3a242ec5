"""The tracking store: which one a run uses, whether it can be reached, and its safe creation by several processes."""

import importlib
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from archsearch.errors import TrackingError
from archsearch.system.process import gc_paused
from archsearch.tracking import database as files
from archsearch.tracking.messages import cause, error_line, redact, redact_uri
from archsearch.tracking.uris import malformed, unreachable_server, unusable_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ADVICE = "set tracking.uri (or MLFLOW_TRACKING_URI) to a store that answers, or use tracking=none"
_RETRY_SECONDS = 1.0

_opened: dict["Store", tuple[int, int] | None] = {}  # the stores that this process has opened, and their files


@dataclass(frozen=True)
class Store:
    """A tracking store."""

    uri: str

    @property
    def database(self) -> Path | None:
        """The file of a SQLite store."""
        path = self.uri.removeprefix("sqlite:///")
        return Path(path.split("?")[0]) if path != self.uri else None

    @property
    def is_server(self) -> bool:
        return self.uri.startswith(("http://", "https://"))

    @property
    def has_password(self) -> bool:
        parts = urlsplit(self.uri)
        return bool(parts.password) or "password" in parse_qs(parts.query)

    def identity(self) -> tuple[int, int] | None:
        """What distinguishes the file of a SQLite store from one that replaces it; None if there is no file."""
        try:
            status = self.database.stat() if self.database is not None else None
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status is not None else None

    def trouble(self) -> str | None:
        """Why the store does not accept writes now: the server does not answer, or SQLite's write lock is held."""
        try:
            check_store(self)
            if self.database is not None and self.database.exists():
                with closing(files.connect(self.database)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
        except TrackingError as error:
            return str(error)
        except sqlite3.Error as error:
            return f"tracking store {self} cannot be written: {error_line(error)}"
        return None

    def answers(self) -> bool:
        """Whether the store accepts writes now."""
        return self.trouble() is None

    def answers_within(self, seconds: float) -> bool:
        """Wait at most about `seconds` until the store accepts writes; whether it does."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(_RETRY_SECONDS, max(0.0, deadline - time.monotonic())))
        return True

    def __str__(self) -> str:
        """The URI without its password."""
        return redact_uri(self.uri)


def resolve_store(uri: str | None, outputs: Path) -> Store:
    """The store that `tracking.uri` names, else MLFLOW_TRACKING_URI, else SQLite in `outputs`.

    Raises `TrackingError` if it cannot be a store.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not chosen:
        path = str((outputs / "mlflow.db").absolute())
        reserved = next((character for character in "?%#" if character in path), None)
        if reserved is not None:
            rule = f"a database URI cannot contain {reserved!r}"
            raise TrackingError(f"tracking store {path}: {rule}; work in another folder, or {_ADVICE}")
        return Store(f"sqlite:///{path}")
    if ":" not in chosen and chosen != "databricks":
        raise TrackingError(
            f"tracking store {chosen!r}: MLflow no longer supports plain folders; use sqlite:///{chosen}/mlflow.db"
        )
    store = Store(chosen)
    problem = malformed(chosen)
    if problem is not None:
        raise TrackingError(f"tracking store {store} {problem}; {_ADVICE}")
    return store


def check_store(store: Store) -> None:
    """Check, without importing MLflow, that `store` can be written to. Raises `TrackingError` if not."""
    problem = unusable_database(store.database) if store.database is not None else unreachable_server(store.uri)
    if problem is not None:
        raise TrackingError(f"tracking store {store} {problem}; {_ADVICE}")


def require_store(store: Store) -> None:
    """Raise `TrackingError` if `store` is a SQLite store that does not exist, or was only half made."""
    if store.database is not None and not files.is_usable(store.database):
        raise TrackingError(f"tracking store {store} does not exist yet: train something first")


def create_store(store: Store) -> None:
    """Create a SQLite store without importing MLflow, if MLflow has made one before. Raises `TrackingError`.

    Without a copy of that one, `open_experiment` makes it; this checks that it can.
    """
    if store.database is None:
        return
    check_store(store)
    locked = suppress(sqlite3.OperationalError)
    with _creation_errors(store), files.creation_lock(store.database), locked:
        if files.is_missing(store.database):
            files.copy_template(store.database)


def import_mlflow() -> None:
    """Import MLflow with telemetry off, short timeouts and without its progress messages."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Notice within seconds that a server is down. The recorder sends failed writes again later.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    # MLflow prints links with the store's user and password.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow

    # Hides "Creating initial MLflow database tables..." and the like.
    logging.getLogger(mlflow.__name__).setLevel(logging.WARNING)
    for handler in logging.getLogger(mlflow.__name__).handlers:
        handler.addFilter(_redacted)
    # It prints exceptions that it also raises, with their SQL.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


@contextmanager
def restored_mlflow() -> Iterator[None]:
    """Let MLflow's tracking URI, which is the process's, be as before afterwards."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow: Any = sys.modules.get("mlflow")
    chosen = mlflow.get_tracking_uri() if mlflow is not None and mlflow.is_tracking_uri_set() else None
    try:
        yield
    finally:
        mlflow = sys.modules.get("mlflow")
        if mlflow is not None:
            mlflow.set_tracking_uri(chosen)  # None: none was set; it also sets the variable
        if before is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _redacted(record: logging.LogRecord) -> bool:
    """A logging filter that removes passwords from a line."""
    record.msg, record.args = redact(record.getMessage()), None
    return True


def import_store(store: Store) -> None:
    """Import MLflow and the modules that it needs to open `store`, without opening it."""
    with gc_paused() if "mlflow" not in sys.modules else nullcontext():
        import_mlflow()
        if not store.is_server:
            with suppress(ImportError):  # another version of MLflow may have moved the module
                importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


def open_experiment(store: Store, name: str) -> tuple["MlflowClient", str]:
    """A client of `store` and the id of experiment `name`, both created if needed. Raises `TrackingError`.

    Safe to call from several processes at once. Two processes that migrate a new database together would corrupt it,
    so SQLite is opened under a file lock.
    """
    import_store(store)  # before taking the lock, for which other processes wait
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    with _creation_errors(store), _complete(store):
        client = MlflowClient(tracking_uri=store.uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return client, experiment.experiment_id
        location = (store.database.absolute().parent / "artifacts").as_uri() if store.database is not None else None
        try:
            return client, client.create_experiment(name, artifact_location=location)
        except MlflowException:
            # On a server, another process may have created the experiment in the meantime.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return client, experiment.experiment_id


@contextmanager
def _creation_errors(store: Store) -> Iterator[None]:
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # from MLflow, SQLAlchemy or a database driver
        raise TrackingError(f"tracking store {store} cannot be opened: {error_line(error)}; {_ADVICE}") from cause(
            error
        )


@contextmanager
def _complete(store: Store) -> Iterator[None]:
    """Hold the file lock of a SQLite store whose database is complete: make it first if it is missing or half made."""
    database = store.database
    if database is None:
        yield
        return
    with files.creation_lock(database):
        if not files.is_missing(database) and files.is_half_made(database, _schema):
            files.set_aside(database)
        if files.is_missing(database) and not files.copy_template(database):
            files.make_database(database, _migrate)
        identity = store.identity()
        if _opened.setdefault(store, identity) != identity:
            _opened[store] = identity
            _forget_connections()
        yield


def _forget_connections() -> None:
    """Let MLflow open its databases again: a connection to a deleted file would go on to write to that."""
    stores = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    for engine in dict(stores.SqlAlchemyStore._engine_map).values():
        engine.dispose()


def _schema() -> tuple[set[str], str]:
    """The names of MLflow's tables, and the revision of their schema."""
    utils = importlib.import_module("mlflow.store.db.utils")
    return set(utils.Base.metadata.tables), str(utils._get_latest_schema_revision())


def _migrate(database: Path) -> None:
    """Make MLflow's tables in a new database."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{database}", "file:///artifacts")  # type: ignore[no-untyped-call]
    store.engine.dispose()  # the file is renamed
