"""Where the runs of a report come from: sweeps' folders, runs' folders, or any MLflow store."""

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
from archsearch.runs.result import RESULT, read_result
from archsearch.sweep.record import SweepRecord
from archsearch.tracking.mlflow_params import params_of
from archsearch.tracking.reader import Reader, StoredRun
from archsearch.tracking.recorder import as_text
from archsearch.tracking.store import Store

_MOST_NAMES = 3  # in a title
_NOT_SETTINGS = ("seed", "data")  # among a run's params

try:
    _Loader: Any = yaml.CSafeLoader
except AttributeError:  # PyYAML without libyaml
    _Loader = yaml.SafeLoader


@dataclass
class Gathered:
    """The runs that were options for. `folder` and `parent` are of the sweep, where all of them are of one."""

    title: str
    command: str | None = None  # that trained them, where it was one
    trials: list[StudyRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None
    parent: str | None = None  # run id
    store: Store | None = None  # where `parent` is


class Sources:
    """Finds runs, on disk first, then in the store; `find_store` says which that is, when it is needed.

    Files that have to be downloaded go to the folder `scratch`.
    """

    def __init__(self, find_store: Callable[[], Store], scratch: Path) -> None:
        self._find_store = find_store
        self._scratch = scratch
        self._reader: Reader | None = None

    @property
    def reader(self) -> Reader:
        """Opened when first needed: MLflow takes seconds to import."""
        if self._reader is None:
            self._reader = Reader.open(self._find_store())
        return self._reader

    def gather(self, options: Options) -> Gathered:
        """The runs that `options` names; those of the last sweep where it names none. Raises `ReportError`s."""
        searched = bool(options.experiment) or options.filter is not None
        sweeps = options.sweep or (() if options.run or searched else ("last",))
        found = Gathered(_title(sweeps, options))
        for name in sweeps:
            self._add_sweep(found, name)
        for name in options.run:
            found.trials.append(self._run(name))
        if searched:
            stored = self.reader.runs(options.experiment, options.filter or "")
            self._add_stored(found, stored)
        if not found.trials:
            raise ReportError(f"{found.title}: nothing has been trained there")
        if len(sweeps) != 1 or options.run or searched:
            found.folder = found.parent = found.store = None
        by_id = {trial.run_id: trial for trial in found.trials}
        found.trials = list(by_id.values())
        return found

    def _add_sweep(self, found: Gathered, name: str) -> None:
        try:
            folder = find_sweep(name, setting="sweep")
            record = SweepRecord.read(folder)
        except ResumeError as error:
            if name == "last" or Path(name).is_dir():
                raise ReportError(f"{error}; sweep=, run=, experiment= or filter= says what to report on") from error
            self._add_stored_sweep(found, name, str(error))
            return
        if found.title == f"sweep {name}":
            found.title = f"sweep {record.id}"
            found.command = f"python -m archsearch -m {' '.join(quote(as_typed(word)) for word in record.overrides)}"
        found.folder, found.parent = folder, record.tracking.get("run_id")
        uri = record.tracking.get("uri")
        if uri is not None:
            found.store = self._find_store() if ":***@" in uri else Store(uri)  # a password is not kept
        entries = [entry for entry in record.entries if entry.same_as is None]
        trials = [trial_of(folder / entry.folder, entry.values) for entry in entries]
        found.trials += [trial for trial in trials if trial is not None]
        missing = [entry for entry, trial in zip(entries, trials, strict=True) if trial is None]
        begun = sum((folder / entry.folder / RESULT).exists() for entry in missing)
        left = sum(entry.state == "READY" for entry in missing) - begun
        if left > 0:
            found.notes.append(f"{left} of the sweep's {len(record.entries)} variants have not been started")
        if begun:
            found.notes.append(f"{begun} of the sweep's variants have a damaged folder, and are left out")

    def _add_stored_sweep(self, found: Gathered, name: str, otherwise: str) -> None:
        plain = name.replace('"', "")
        stored = self.reader.runs((), f'tags.sweep = "{plain}"')
        if not stored:
            raise ReportError(f"{otherwise}; nor does {self.reader.store} know it")
        self._add_stored(found, stored)
        parents = self.reader.runs((), f'tags."sweep.id" = "{plain}"')
        found.parent = parents[0].run_id if parents else None
        found.store = self.reader.store

    def _run(self, name: str) -> StudyRun:
        try:
            folder = find_run(name, setting="run")
        except ResumeError as error:
            if name == "last" or Path(name).exists():
                raise ReportError(str(error)) from error
            plain = name.replace('"', "").replace("'", "")
            stored = self.reader.runs((), f"attributes.run_id = '{plain}'")
            if not stored or not _is_ours(stored[0]):
                raise ReportError(f"{error}; nor does {self.reader.store} know it") from error
            return self._stored(stored[0])
        trial = trial_of(folder)
        if trial is None:
            raise ReportError(f"run={name}: {folder} holds no {RESULT} and {CONFIG} that can be read")
        return trial

    def _add_stored(self, found: Gathered, stored: Sequence[StoredRun]) -> None:
        ours = [run for run in stored if _is_ours(run)]
        found.trials += map(self._stored, ours)
        others = sum("sweep.id" not in run.tags for run in stored) - len(ours)
        if others:
            found.notes.append(f"{others} runs in MLflow are not archsearch's, and left out")

    def _stored(self, run: StoredRun) -> StudyRun:
        """A run of MLflow as a trial; its files come from its folder where that is on this machine."""

        @cache
        def fetch(name: str) -> Path | None:
            folder = Path(run.tags.get("folder", ""))
            if (folder / name).is_file() and (read_result(folder) or {}).get("run_id") == run.run_id:
                return folder / name
            return self.reader.download(run.run_id, name, self._scratch / run.run_id)

        def count(name: str) -> int | None:
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
            params=count("params"),
            macs=count("macs"),
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


def trial_of(folder: Path, varying: Mapping[str, str] | None = None) -> StudyRun | None:
    """The run in `folder`, or None where there is none that can be read.

    `varying` are settings by which a sweep told its variants apart; among them can be what is no column in MLflow.
    """
    result = read_result(folder)
    try:
        config = yaml.load((folder / CONFIG).read_text(encoding="utf-8"), _Loader)
        assert result is not None
        params = {
            key: as_text(value) for key, value in params_of(config, result["choices"], result["data"]["name"]).items()
        }
        others = {key: value for key, value in (varying or {}).items() if "." in key}  # not the options of a group
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
    """An accuracy, if it is one."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 100 else None


def _is_ours(run: StoredRun) -> bool:
    return run.params.get("seed", "").isdecimal() and "data" in run.params
