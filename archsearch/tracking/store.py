"""The tracking store: which one a run uses, whether it can be reached, and its safe creation by several processes."""

import importlib
import logging
import os
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock

from archsearch.errors import TrackingError, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TIMEOUT = 5.0  # seconds for a server to answer
_ADVICE = "set tracking.uri (or MLFLOW_TRACKING_URI) to a store that answers, or use tracking=none"


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
        return bool(urlsplit(self.uri).password)

    def answers(self) -> bool:
        """Whether the store accepts writes now: the server answers, or no other process holds SQLite's write lock."""
        try:
            check_store(self)
            if self.database is not None:
                with closing(_connect(self.database)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
        except (TrackingError, sqlite3.Error):
            return False
        return True

    def __str__(self) -> str:
        """The URI without its password."""
        parts = urlsplit(self.uri)
        if not parts.password:
            return self.uri
        return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


def resolve_store(uri: str | None, outputs: Path) -> Store:
    """The store that `tracking.uri` names, else MLFLOW_TRACKING_URI, else SQLite in `outputs`."""
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not chosen:
        path = str((outputs / "mlflow.db").absolute())
        reserved = next((character for character in "?%#" if character in path), None)
        if reserved is not None:
            rule = f"a database URI cannot contain {reserved!r}"
            raise TrackingError(f"tracking store {path}: {rule}; work in another folder, or {_ADVICE}")
        return Store(f"sqlite:///{path}")
    if "://" not in chosen and chosen != "databricks":
        raise TrackingError(
            f"tracking store {chosen!r}: MLflow no longer supports plain folders; use sqlite:///{chosen}/mlflow.db"
        )
    return Store(chosen)


def create_store(store: Store) -> None:
    """Create the file of a SQLite store without importing MLflow. Raises `TrackingError`."""
    try:
        with _creation_lock(store):
            pass
    except (OSError, sqlite3.OperationalError) as error:
        raise TrackingError(f"tracking store {store} cannot be created: {first_line(error)}; {_ADVICE}") from error


def check_store(store: Store) -> None:
    """Check, without importing MLflow, that `store` can be written to. Raises `TrackingError` if not."""
    if store.is_server:
        parts = urlsplit(store.uri)
        host = parts.netloc.rpartition("@")[2]  # without user and password
        health = urlunsplit(parts._replace(netloc=host, path=f"{parts.path.rstrip('/')}/health"))
        try:
            urllib.request.urlopen(health, timeout=_TIMEOUT).close()
        except urllib.error.HTTPError:
            pass  # it answers; MLflow reports missing permissions
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise TrackingError(f"tracking store {store} does not answer: {reason}; {_ADVICE}") from error
    elif store.database is not None and store.database.exists():
        if not os.access(store.database, os.R_OK | os.W_OK):
            raise TrackingError(f"tracking store {store} cannot be written: permission denied; {_ADVICE}")
        try:
            with closing(_connect(store.database)) as connection:
                connection.execute("PRAGMA schema_version")
        except sqlite3.OperationalError:
            pass  # another process has locked it for now
        except sqlite3.DatabaseError as error:
            raise TrackingError(f"tracking store {store} is not a SQLite database; {_ADVICE}") from error


def _connect(database: Path) -> sqlite3.Connection:
    # Never use `open`: closing a file drops all locks that this process holds on it, including those of MLflow's
    # connections, and the next write may corrupt the database (sqlite.org/howtocorrupt.html, 2.2).
    return sqlite3.connect(database, timeout=0.5)


def import_mlflow() -> None:
    """Import MLflow with telemetry off, short timeouts and without its progress messages."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Notice within seconds that a server is down. The recorder sends failed writes again later.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    import mlflow

    # Hides "Creating initial MLflow database tables..." and the like.
    logging.getLogger(mlflow.__name__).setLevel(logging.WARNING)


def import_store(store: Store) -> None:
    """Import MLflow and the modules that it needs to open `store`, without opening it."""
    import_mlflow()
    if not store.is_server:
        with suppress(ImportError):  # another version of MLflow may have moved the module
            importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


def open_experiment(store: Store, name: str) -> tuple["MlflowClient", str]:
    """A client of `store` and the id of experiment `name`, both created if needed. Raises `TrackingError`.

    Safe to call from several processes at once. Two processes that migrate a new database together would corrupt it,
    so SQLite is opened under a file lock.
    """
    import_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with _creation_lock(store):
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
    except Exception as error:  # from MLflow, SQLAlchemy or a database driver
        raise TrackingError(f"tracking store {store} cannot be opened: {first_line(error)}; {_ADVICE}") from error


@contextmanager
def _creation_lock(store: Store) -> Iterator[None]:
    """Hold the file lock of a SQLite store, and create its database if there is none."""
    if store.database is None:
        yield
        return
    store.database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{store.database}.lock"):
        if not store.database.exists():
            # WAL allows readers beside one writer. The mode is stored in the file.
            connection = sqlite3.connect(store.database)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        yield
