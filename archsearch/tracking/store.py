"""Which tracking store a run writes to, whether it can be reached, and creating it when several start at once."""

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

_ANSWER_SECONDS = 5.0
_ADVICE = "set tracking.uri (or MLFLOW_TRACKING_URI) to a store that answers, or use tracking=none"


@dataclass(frozen=True)
class Store:
    """A tracking store; `database` is its file where it is SQLite."""

    uri: str

    @property
    def database(self) -> Path | None:
        path = self.uri.removeprefix("sqlite:///")
        return Path(path.split("?")[0]) if path != self.uri else None

    @property
    def is_server(self) -> bool:
        return self.uri.startswith(("http://", "https://"))

    @property
    def has_password(self) -> bool:
        return bool(urlsplit(self.uri).password)

    def answers(self) -> bool:
        """Whether the store can be written to now: its server answers, or nobody else holds SQLite's lock."""
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
        odd = next((sign for sign in "?%#" if sign in path), None)
        if odd is not None:
            raise TrackingError(f"{path}: a database's URI cannot hold {odd!r}; work in another folder, or {_ADVICE}")
        return Store(f"sqlite:///{path}")
    if "://" not in chosen and chosen != "databricks":
        raise TrackingError(
            f"tracking store {chosen!r}: MLflow has given up plain folders; use sqlite:///{chosen}/mlflow.db"
        )
    return Store(chosen)


def make_store(store: Store) -> None:
    """Make the file of a SQLite store without importing MLflow. Raises `TrackingError`."""
    try:
        with _alone(store):
            pass
    except (OSError, sqlite3.OperationalError) as error:
        raise TrackingError(f"tracking store {store} cannot be made: {first_line(error)}; {_ADVICE}") from error


def check_store(store: Store) -> None:
    """Find out, without importing MLflow, whether `store` can be written to. Raises `TrackingError` where not."""
    if store.is_server:
        parts = urlsplit(store.uri)
        bare = urlunsplit(
            parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}/health")
        )
        try:
            urllib.request.urlopen(bare, timeout=_ANSWER_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # it answers; whether it lets us in, MLflow will say
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
            pass  # somebody has locked it, and will let go
        except sqlite3.DatabaseError as error:
            raise TrackingError(f"tracking store {store} is not a SQLite database; {_ADVICE}") from error


def _connect(database: Path) -> sqlite3.Connection:
    # Never by `open`: closing a file drops all locks that this process holds on it, those of MLflow's connections, too,
    # and the next to write may destroy the database (sqlite.org/howtocorrupt.html, 2.2).
    return sqlite3.connect(database, timeout=0.5)


def import_mlflow() -> None:
    """Set what must be set before MLflow is imported for the first time."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # A server that went away is noticed in seconds; what it missed is sent again later.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    import mlflow

    # "Creating initial MLflow database tables..." and the like are no news to a person who trains a network.
    logging.getLogger(mlflow.__name__).setLevel(logging.WARNING)


def import_store(store: Store) -> None:
    """Import MLflow and what it would import to open `store`, without touching that."""
    import_mlflow()
    if not store.is_server:
        with suppress(ImportError):  # where MLflow has moved it, it is imported later
            importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


def open_experiment(store: Store, name: str) -> tuple["MlflowClient", str]:
    """A client of `store` and the id of experiment `name`, both created where needed.

    Safe from several processes at once: a fresh database that two of them migrate together would be destroyed, so
    SQLite is opened for the first time under a file lock.
    """
    import_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with _alone(store):
            client = MlflowClient(tracking_uri=store.uri)
            experiment = client.get_experiment_by_name(name)
            if experiment is not None:
                return client, experiment.experiment_id
            location = (store.database.absolute().parent / "artifacts").as_uri() if store.database is not None else None
            try:
                return client, client.create_experiment(name, artifact_location=location)
            except MlflowException:
                # On a server, another process can have been faster.
                experiment = client.get_experiment_by_name(name)
                if experiment is None:
                    raise
                return client, experiment.experiment_id
    except Exception as error:  # whatever MLflow, SQLAlchemy or a driver raises: the run has not started yet
        raise TrackingError(f"tracking store {store} cannot be opened: {first_line(error)}; {_ADVICE}") from error


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    if store.database is None:
        yield
        return
    store.database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{store.database}.lock"):
        if not store.database.exists():
            # Readers and one writer at a time, instead of one or the other; the setting stays with the file.
            connection = sqlite3.connect(store.database)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
        yield
