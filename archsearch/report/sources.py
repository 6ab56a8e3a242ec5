"""Finds the runs of a report: in the folders of sweeps and runs, or in an MLflow store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

import yaml

from archsearch.compose.overrides import as_typed
from archsearch.errors import ReportError, ResumeError
from archsearch.report.options import Options
from archsearch.report.study import StudyRun, plain_number
from archsearch.runs.folder import CONFIG, find_run, find_sweep
from archsearch.runs.formatting import count
from archsearch.runs.result import RESULT, read_result
from archsearch.sweep.record import SweepRecord
from archsearch.tracking.mlflow_params import as_text, params_of
from archsearch.tracking.reader import Reader, StoredRun
from archsearch.tracking.store import Store

_MOST_NAMES = 3  # in a title
_NOT_SETTINGS = ("seed", "data")  # among a run's params

try:
    _Loader: Any = yaml.CSafeLoader
except AttributeError:  # PyYAML without libyaml
    _Loader = yaml.SafeLoader


@dataclass
class Selection:
    """The selected runs. `command`, `folder`, `parent` and `store` are set if all of them belong to one sweep."""

    title: str
    command: str | None = None  # the command that trained the sweep
    runs: list[StudyRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None
    parent: str | None = None  # id of the sweep's own MLflow run
    store: Store | None = None  # of `parent`


class Sources:
    """Finds runs on disk, then in the store that `find_store` returns; it is only called if needed.

    Downloaded files go to the folder `scratch`.
    """

    def __init__(self, find_store: Callable[[], Store], scratch: Path) -> None:
        self._find_store = find_store
        self._scratch = scratch
        self._reader: Reader | None = None

    @property
    def reader(self) -> Reader:
        """Opened on first use, because importing MLflow takes seconds."""
        if self._reader is None:
            self._reader = Reader.open(self._find_store())
        return self._reader

    def select(self, options: Options) -> Selection:
        """The runs that `options` selects, by default those of the last sweep. Raises `ReportError`."""
        is_search = bool(options.experiment) or options.filter is not None
        sweeps = options.sweep or (() if options.run or is_search else ("last",))
        selection = Selection(_title(sweeps, options))
        for name in sweeps:
            self._add_sweep(selection, name)
        for name in options.run:
            selection.runs.append(self._run(name))
        if is_search:
            self._add_stored(selection, self.reader.runs(options.experiment, options.filter or ""))
        if not selection.runs:
            raise ReportError(f"{selection.title}: no runs found")
        if len(sweeps) != 1 or options.run or is_search:
            selection.folder = selection.parent = selection.store = None
        selection.runs = list({run.run_id: run for run in selection.runs}.values())
        return selection

    def _add_sweep(self, selection: Selection, name: str) -> None:
        try:
            folder = find_sweep(name, setting="sweep")
            record = SweepRecord.read(folder)
        except ResumeError as error:
            if name == "last" or Path(name).is_dir():
                raise ReportError(f"{error}; select runs with sweep=, run=, experiment= or filter=") from error
            self._add_stored_sweep(selection, name, str(error))
            return
        if selection.title == f"sweep {name}":
            selection.title = f"sweep {record.id}"
            selection.command = (
                f"python -m archsearch -m {' '.join(quote(as_typed(word)) for word in record.overrides)}"
            )
        selection.folder, selection.parent = folder, record.tracking.get("run_id")
        uri = record.tracking.get("uri")
        if uri is not None:
            selection.store = self._find_store() if ":***@" in uri else Store(uri)  # passwords are not recorded
        entries = [entry for entry in record.entries if entry.same_as is None]
        runs = [read_study_run(folder / entry.folder, entry.values) for entry in entries]
        selection.runs += [run for run in runs if run is not None]
        missing = [entry for entry, run in zip(entries, runs, strict=True) if run is None]
        unreadable = sum((folder / entry.folder / RESULT).exists() for entry in missing)
        unstarted = sum(entry.state == "READY" for entry in missing) - unreadable
        if unstarted > 0:
            selection.notes.append(f"{unstarted} of the sweep's {count(len(record.entries), 'run')} not started yet")
        if unreadable:
            selection.notes.append(f"{count(unreadable, 'run')} of the sweep left out: the folder is damaged")

    def _add_stored_sweep(self, selection: Selection, name: str, reason: str) -> None:
        unquoted = name.replace('"', "")
        stored = self.reader.runs((), f'tags.sweep = "{unquoted}"')
        if not stored:
            raise ReportError(f"{reason}; {self.reader.store} has none either")
        self._add_stored(selection, stored)
        parents = self.reader.runs((), f'tags."sweep.id" = "{unquoted}"')
        selection.parent = parents[0].run_id if parents else None
        selection.store = self.reader.store

    def _run(self, name: str) -> StudyRun:
        try:
            folder = find_run(name, setting="run")
        except ResumeError as error:
            if name == "last" or Path(name).exists():
                raise ReportError(str(error)) from error
            unquoted = name.replace('"', "").replace("'", "")
            stored = self.reader.runs((), f"attributes.run_id = '{unquoted}'")
            if not stored or not _is_archsearch(stored[0]):
                raise ReportError(f"{error}; {self.reader.store} has none either") from error
            return self._study_run(stored[0])
        run = read_study_run(folder)
        if run is None:
            raise ReportError(f"run={name}: cannot read {RESULT} and {CONFIG} in {folder}")
        return run

    def _add_stored(self, selection: Selection, stored: Sequence[StoredRun]) -> None:
        recognized = [run for run in stored if _is_archsearch(run)]
        selection.runs += map(self._study_run, recognized)
        others = sum("sweep.id" not in run.tags for run in stored) - len(recognized)
        if others:
            selection.notes.append(f"{count(others, 'MLflow run')} left out: not recorded by archsearch")

    def _study_run(self, run: StoredRun) -> StudyRun:
        """A run of MLflow; its files are read from its folder if that is on this machine, otherwise downloaded."""

        @cache
        def fetch(name: str) -> Path | None:
            folder = Path(run.tags.get("folder", ""))
            if (folder / name).is_file() and (read_result(folder) or {}).get("run_id") == run.run_id:
                return folder / name
            return self.reader.download(run.run_id, name, self._scratch / run.run_id)

        def integer(name: str) -> int | None:
            return None if name not in run.metrics else int(run.metrics[name])

        started = datetime.fromtimestamp(run.started / 1000, UTC).isoformat(timespec="seconds")
        return StudyRun(
            run_id=run.run_id,
            name=run.name,
            state=run.state,
            started=started,
            seed=int(run.params["seed"]),
            settings=_settings(run.params),
            data=run.params["data"],
            fingerprint=run.tags.get("data.fingerprint", "-"),
            params=integer("params"),
            macs=integer("macs"),
            validation=_percent(run.metrics.get("val/accuracy")),
            best=_percent(run.metrics.get("val/best_accuracy")),
            test=_percent(run.metrics.get("test/accuracy")),
            epoch_seconds=run.metrics.get("epoch_seconds"),
            fetch=fetch,
        )


def _title(sweeps: Sequence[str], options: Options) -> str:
    parts = []
    for kind, names in (("sweep", sweeps), ("run", options.run), ("experiment", options.experiment)):
        if len(names) > _MOST_NAMES:
            parts.append(f"{len(names)} {kind}s")
        elif names:
            parts.append(f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}")
    return ", ".join([*parts, *([f"filter {options.filter}"] if options.filter else [])])


def read_study_run(folder: Path, varying: Mapping[str, str] | None = None) -> StudyRun | None:
    """The run in `folder`; None if it cannot be read.

    `varying` holds the values that a sweep gave to the run; they may include settings that are no MLflow param.
    """
    result = read_result(folder)
    try:
        config = yaml.load((folder / CONFIG).read_text(encoding="utf-8"), _Loader)
        assert result is not None
        params = {
            key: as_text(value) for key, value in params_of(config, result["choices"], result["data"]["name"]).items()
        }
        others = {key: value for key, value in (varying or {}).items() if "." in key}  # without choices of a group
        final, best, epochs = result["final"] or {}, result["best"] or {}, result["epochs_trained"]
        return StudyRun(
            run_id=result["run_id"],
            name=result["name"],
            state=result["state"],
            started=result["started"],
            seed=result["seed"],
            settings=_settings({**others, **params}),
            data=result["data"]["name"],
            fingerprint=result["data"]["fingerprint"],
            params=result["params"],
            macs=result["macs"],
            validation=_percent(final.get("val/accuracy")),
            best=_percent(best.get("val/accuracy")),
            test=_percent(final.get("test/accuracy")),
            epoch_seconds=result["seconds"] / epochs if epochs else None,
            fetch=lambda name: folder / name if (folder / name).is_file() else None,
        )
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError, AssertionError):
        return None


def _settings(params: Mapping[str, str]) -> dict[str, str]:
    return {key: plain_number(value) for key, value in params.items() if key not in _NOT_SETTINGS}


def _percent(value: object) -> float | None:
    """`value` if it is an accuracy in percent, else None."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 100 else None


def _is_archsearch(run: StoredRun) -> bool:
    """Whether archsearch recorded the run."""
    return run.params.get("seed", "").isdecimal() and "data" in run.params
