"""A study in PostgreSQL, on which several processes work: its connections, its lock, and what it means if it is away.

Imports Optuna and SQLAlchemy, so import it late.
"""

import hashlib
import warnings
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError, SQLAlchemyError

from archsearch.errors import ConfigError, Problem, first_line
from archsearch.search.objectives import directions_of
from archsearch.search.storage import LatestValues, latest_of

# A machine that vanishes without a word is noticed within a minute, by both sides: the server then releases its lock.
_CONNECTION: Mapping[str, Any] = {
    "connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": " ".join(
        f"-c {name}={value}"
        for name, value in {
            "tcp_keepalives_idle": 20, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }.items()
    ),
}  # fmt: skip
_AWAY = (OperationalError, InterfaceError, PendingRollbackError)


class Database:
    """The PostgreSQL database at `url`, with the lock of the study `name`.

    Raises `ConfigError` if it does not answer.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = _with_driver(url), name
        options = {key: value for key, value in _CONNECTION.items() if key not in self.url.query}
        self._options: dict[str, Any] = {"connect_args": options, "pool_pre_ping": True}
        self.lock = StudyLock(sqlalchemy.create_engine(self.url, **self._options), name)
        try:
            with self.lock:
                pass
        except SQLAlchemyError as error:
            rule = f"got {url!r}, which does not answer: {reason_of(error)}"
            raise ConfigError([Problem("search.storage", rule)]) from error

    def open_study(self, objectives: Sequence[str]) -> optuna.Study:
        """The study, which is made if it does not exist; processes that open it at once wait for each other."""
        optuna.logging.disable_default_handler()
        with self.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            url = self.url.render_as_string(hide_password=False)
            self.storage = _Storage(RDBStorage(url, engine_kwargs=self._options))
            return optuna.create_study(
                storage=self.storage, study_name=self.name, directions=directions_of(objectives), load_if_exists=True
            )

    def close(self) -> None:
        """Close all connections."""
        self.lock.close()
        self.storage.close()


class StudyLock:
    """An advisory lock of the database, which it releases when the process that holds it is gone. It is reentrant."""

    def __init__(self, engine: sqlalchemy.Engine, name: str) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._key = int.from_bytes(hashlib.sha256(f"archsearch {name}".encode()).digest()[:8], "big", signed=True)
        self._connection: Connection | None = None
        self._depth = 0

    def __enter__(self) -> "StudyLock":
        if not self._depth:
            connection = self._engine.connect()
            try:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": self._key})
            except BaseException:
                _drop(connection)
                raise
            self._connection = connection
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth and self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:key)"), {"key": self._key})
                connection.close()
            except SQLAlchemyError:  # with the connection, the lock is gone, too
                _drop(connection)

    def check(self) -> None:
        """Raise an error for which `is_away` is true if the lock was lost because the database was."""
        if self._connection is not None:
            self._connection.execute(sqlalchemy.text("SELECT 1"))

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()


def _drop(connection: Connection) -> None:
    with suppress(SQLAlchemyError):
        connection.invalidate()
    with suppress(SQLAlchemyError):
        connection.close()


class _Storage(_CachedStorage):
    """Optuna's storage, whose trials have the values that they reached last, as of the last call of `refresh`."""

    def __init__(self, backend: RDBStorage) -> None:
        super().__init__(backend)
        self._latest: Mapping[int, Sequence[float]] = {}
        self._values = LatestValues()

    def refresh(self, study_attributes: Mapping[str, Any]) -> None:
        """Take the latest values from the attributes of the study."""
        self._latest = latest_of(study_attributes)

    def reset(self) -> None:
        """Forget a connection that failed."""
        with suppress(SQLAlchemyError):
            self._backend.remove_session()

    def close(self) -> None:
        """Close all connections."""
        self.reset()
        self._backend.engine.dispose()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials of a study, with their latest values."""
        return self._values.set_in(super().get_all_trials(study_id, deepcopy), self._latest, states)


def is_away(error: BaseException) -> bool:
    """Whether `error` says that the database does not answer, for now."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _AWAY) or (isinstance(cause, DBAPIError) and cause.connection_invalidated):
            return True
        cause = cause.__cause__ if isinstance(cause, StorageInternalError) else None
    return False


def reason_of(error: BaseException) -> str:
    """What the database, or its driver, says in `error`."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return first_line(getattr(cause, "orig", None) or cause or error)


def _with_driver(url: str) -> URL:
    """`url` with the driver that the extra `postgresql` installs, whatever SQLAlchemy's default is."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg2") if parsed.drivername == "postgresql" else parsed
