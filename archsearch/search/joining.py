"""Joins a study on which other processes work, too; each of them keeps its own trials in a folder of its own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.compose.precision import Precision
from archsearch.config.search import SearchSettings
from archsearch.errors import ConfigError, Problem, ResumeError, StorageError
from archsearch.runs.folder import JOINED, STUDY
from archsearch.system.atomic import write_text

if TYPE_CHECKING:
    from archsearch.search.shared import Shared

_PRECISION = "precision"


def check_joined(search: SearchSettings, folder: Path) -> None:
    """Raise `UserError` if the search in `folder`, which goes on, does not work on the study that `search` names."""
    if search.join is not None and find_spec("psycopg2") is None:
        rule = "needs the package psycopg2, which is not installed; run pip install 'archsearch[postgresql]'"
        raise ConfigError([Problem("search.storage", rule)])
    path = folder / JOINED
    if path.is_file():
        name = path.read_text(encoding="utf-8").strip()
        if name != (search.join or ""):
            raise ResumeError(f"resume: the search in {folder} works on the study {name}; set search.join={name}")
    elif search.join is not None and (folder / STUDY).is_file():
        raise ResumeError(f"resume: the search in {folder} has a study of its own, and cannot join another one")


@contextmanager
def joined(search: SearchSettings, folder: Path, process: str) -> "Iterator[Shared | None]":
    """The study that several processes share, open for this one; None for a search with a study of its own.

    Raises `ConfigError` if the database does not answer, and `StorageError` if it goes away while the search begins or
    ends.
    """
    if search.join is None or search.storage is None:
        yield None
        return
    from archsearch.search.postgres import Database, is_away, reason_of
    from archsearch.search.shared import Shared

    database = Database(search.storage, search.join)
    try:
        study = database.open_study(search.objectives)
        where = f"{socket.gethostname()}:{folder.absolute()}"
        with Shared(database, study, process, where, search.lease) as shared:
            yield shared
    except Exception as error:
        if not is_away(error):
            raise
        problem = f"search.storage: {search.storage} does not answer: {reason_of(error)}"
        raise StorageError(f"{problem}; nothing is lost, go on with resume") from error
    finally:
        database.close()


def agreed_precision(shared: "Shared", here: Precision) -> Precision:
    """What `trainer.precision=auto` stands for in all processes: what it was for the first, `here` if this is it."""
    with shared.database.lock:
        agreed: Precision | None = shared.study.user_attrs.get(_PRECISION)
        if agreed is None:
            shared.study.set_user_attr(_PRECISION, here)
        return agreed or here


def note_joined(search: SearchSettings, folder: Path) -> None:
    """Note in `folder` which study its search works on."""
    if search.join is not None:
        write_text(folder / JOINED, f"{search.join}\n")
