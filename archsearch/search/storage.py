"""The file of a search: Optuna's journal, one line for each step, which survives the death of any process.

Imports Optuna, so import it late.
"""

import json
import warnings
from collections.abc import Container, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from archsearch.errors import ResumeError, first_line
from archsearch.search.objectives import directions_of

_NAME = "search"
LATEST = "latest values of trial "


def open_study(path: Path, objectives: Sequence[str]) -> optuna.Study:
    """The study in the journal at `path`, which is made if it does not exist. Raises `ResumeError` if it is damaged."""
    optuna.logging.disable_default_handler()
    lock = _Lock(FileLock(f"{path}.lock"))
    with lock.file_lock:
        _cut_damaged_end(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            storage = _Storage(_Backend(path, lock))
            with FileLock(f"{path}.proposing"):  # two processes that create a study at once would both fail
                return optuna.create_study(
                    storage=storage, study_name=_NAME, directions=directions_of(objectives), load_if_exists=True
                )
        except (ValueError, LookupError, TypeError, AssertionError) as error:  # what lines of any content raise
            raise ResumeError(f"{path}: damaged: {first_line(error)}; restore it, or start a new search") from error


def set_latest(study: optuna.Study, number: int, values: Sequence[float]) -> None:
    """Note that trial `number`, which has finished for Optuna, has trained on and reached `values`."""
    name = f"{LATEST}{number}"
    if study.user_attrs.get(name) != list(values):
        study.set_user_attr(name, list(values))


class _Storage(JournalStorage):
    """A journal whose trials have the values that they reached last: Optuna itself keeps those that it is told first.

    Otherwise its samplers would know of a trial that trained on only what it had reached when it first stopped.
    """

    def __init__(self, backend: JournalFileBackend) -> None:
        super().__init__(backend)
        self._latest = LatestValues()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials of a study, with their latest values."""
        latest = latest_of(self.get_study_user_attrs(study_id))
        return self._latest.set_in(super().get_all_trials(study_id, deepcopy), latest, states)


def latest_of(attributes: Mapping[str, Any]) -> dict[int, Sequence[float]]:
    """The latest values of trials, by number, from the attributes of their study."""
    return {int(name.removeprefix(LATEST)): values for name, values in attributes.items() if name.startswith(LATEST)}


class LatestValues:
    """Sets in trials the values that they have reached since Optuna was told of them. Copies a trial once for that."""

    def __init__(self) -> None:
        self._copies: dict[int, tuple[FrozenTrial, Sequence[float], FrozenTrial]] = {}  # by number; of what, and with

    def set_in(
        self,
        trials: Sequence[FrozenTrial],
        latest: Mapping[int, Sequence[float]],
        states: Container[TrialState] | None,
    ) -> list[FrozenTrial]:
        """All `trials` of a study, in the order of their numbers, with `latest`; then only those in `states`."""
        changed = list(trials)
        for number, values in latest.items():
            if number < len(changed):  # another process may have added it since
                changed[number] = self._with_values(changed[number], values)
        return changed if states is None else [trial for trial in changed if trial.state in states]

    def _with_values(self, trial: FrozenTrial, values: Sequence[float]) -> FrozenTrial:
        if trial.state != TrialState.COMPLETE:
            return trial
        before, with_values, changed = self._copies.get(trial.number, (None, (), trial))
        if before is not trial or with_values != values:
            changed = copy(trial)
            changed.values = list(values)
            self._copies[trial.number] = trial, values, changed
        return changed


class _Backend(JournalFileBackend):
    """A journal that waits for the disk only with lines that matter: a proposal, its end, what the study is told.

    The settings of a proposal have lines of their own before it, which reach the disk with it.
    """

    def __init__(self, path: Path, lock: "_Lock") -> None:
        super().__init__(str(path), lock_obj=lock)  # type: ignore[arg-type] # the base class of locks is private
        self._path, self._exclusive = path, lock.file_lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append a line for each of `logs`."""
        if any("user_attr" in log or "state" in log for log in logs):
            super().append_logs(logs)
            return
        with self._exclusive, self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)


class _Lock:
    """A lock that the system releases when its process dies. Optuna's would hold up all others for half a minute."""

    def __init__(self, file_lock: FileLock) -> None:
        self.file_lock = file_lock

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.file_lock.acquire()
        return True

    def release(self) -> None:
        """Release the lock."""
        self.file_lock.release()


def _cut_damaged_end(path: Path) -> None:
    """Cut a last line that is not whole, as a power cut leaves; another one appended to it would spoil the file."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        lines = file.read().splitlines(keepends=True)
        if lines and not _is_whole(lines[-1]):
            file.truncate(sum(map(len, lines[:-1])))


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")
