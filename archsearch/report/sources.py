"""Finds the runs of a report: in the folders of sweeps and runs, or in an MLflow store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from shlex import quote

from archsearch.compose.overrides import as_typed
from archsearch.errors import ReportError, ResumeError, first_line
from archsearch.report.options import Options
from archsearch.report.run_files import percent, read_history, read_study_run, run_link, settings_of
from archsearch.report.study import Curve, StudyRun, has_result
from archsearch.report.sweep_files import read_record, sweeps_by_age
from archsearch.runs.folder import CONFIG, OUTPUTS, find_run, find_sweep
from archsearch.runs.formatting import count
from archsearch.runs.result import RESULT, read_result
from archsearch.sweep.record import SweepRecord
from archsearch.system.terminal import printable
from archsearch.tracking.reader import Reader, StoredRun
from archsearch.tracking.store import Store

__all__ = ["Selection", "Sources", "read_study_run"]

_MOST_NAMES = 3  # in a title
_LARGEST = 10**18  # of numbers that are not accuracies
_LATEST = 4 * 10**12  # milliseconds since 1970
_MOST_DIGITS = 18  # of a seed
_TRAIN_A_SWEEP = "python -m archsearch -m model=session4 model.dropout=0,0.1 seed=1,2,3"
_TRAIN_A_RUN = "python -m archsearch model=session4"


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

    Downloaded files go to the folder `scratch`; `port` is that of `archsearch.ui`. `say` shows what is being
    done.
    """

    def __init__(
        self,
        find_store: Callable[[], Store],
        scratch: Path,
        port: int = 5000,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._say = say
        self._find_store = find_store
        self._scratch = scratch
        self._port = port
        self._runs: dict[Path, list[StudyRun | None]] = {}  # by folder of a sweep
        self._reader: Reader | None = None

    @property
    def reader(self) -> Reader:
        """Opened on first use, because importing MLflow takes seconds."""
        if self._reader is None:
            self._say("opening the MLflow store")
            self._reader = Reader.open(self._find_store())
            self._say("reading runs from MLflow")
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
        distinct = list({run.run_id: run for run in selection.runs}.values())
        repeats = len(selection.runs) - len(distinct)
        if repeats:
            selection.notes.append(f"{count(repeats, 'run')} left out: another selected run has the same id")
        selection.runs = distinct
        return selection

    def _add_sweep(self, selection: Selection, name: str) -> None:
        try:
            folder = find_sweep(name, setting="sweep")
            sweep = read_record(folder)
        except ReportError:  # it is damaged
            if name == "last":
                self._add_last_sweep(selection)
                return
            raise
        except (ResumeError, OSError, RecursionError) as error:
            if name == "last":
                raise ReportError(
                    f"sweep=last: no sweep under {OUTPUTS}/; train something first: {_TRAIN_A_SWEEP};"
                    " or select single runs with run= or experiment="
                ) from error
            if isinstance(error, ResumeError) and Path(name).is_dir():
                raise ReportError(f"{error}; select runs with sweep=, run=, experiment= or filter=") from error
            self._add_stored_sweep(selection, name, first_line(error))
            return
        if sweep.evaluated:
            problem = f"nothing was trained in {folder}, whose trials a function evaluated"
            raise ReportError(f"sweep={name}: {problem}; its page is {folder / 'search.html'}")
        if name == "last" and not _have_result(self._runs_of(folder, sweep)):
            self._add_last_sweep(selection)
        else:
            self._add_folder(selection, name, folder, sweep)

    def _add_last_sweep(self, selection: Selection) -> None:
        """Add the last sweep that can be reported on: those that are damaged or have no accuracy are skipped."""
        skipped: list[str] = []
        for folder in sweeps_by_age():
            try:
                sweep = read_record(folder)
            except ReportError:
                skipped.append(f"{folder.name} (damaged)")
                continue
            runs = self._runs_of(folder, sweep)
            if _have_result(runs):
                selection.notes.append(
                    f"this is sweep {folder.name}, the last one with an accuracy; skipped: {', '.join(skipped)}"
                )
                self._add_folder(selection, "last", folder, sweep)
                return
            states = [run.state for run in runs if run is not None]
            counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
            skipped.append(f"{folder.name} ({counts or 'no run started'})")
        raise ReportError(
            f"sweep=last: no sweep under {OUTPUTS}/ has a run with an accuracy yet: {', '.join(skipped)}; continue the"
            " last one with python -m archsearch -m resume=last"
        )

    def _runs_of(self, folder: Path, sweep: SweepRecord) -> list[StudyRun | None]:
        """The runs of a sweep, in the order of its entries; None for those that cannot be read."""
        if folder not in self._runs:
            entries = [entry for entry in sweep.entries if entry.same_as is None]
            self._say(f"reading {count(len(entries), 'run')}")
            self._runs[folder] = [read_study_run(folder / entry.folder, entry.values, self._port) for entry in entries]
        return self._runs[folder]

    def _add_folder(self, selection: Selection, name: str, folder: Path, sweep: SweepRecord) -> None:
        if selection.title == f"sweep {name}":
            selection.title = f"sweep {printable(sweep.id)}"
            sweepers = [word for word in sweep.hydra if word.startswith("hydra/sweeper=")]  # search, for example
            words = " ".join(quote(as_typed(word)) for word in [*sweepers, *sweep.overrides])
            selection.command = printable(f"python -m archsearch -m {words}")
        selection.folder, selection.parent = folder, sweep.tracking.get("run_id")
        uri = sweep.tracking.get("uri")
        if uri is not None:
            selection.store = self._find_store() if ":***@" in uri else Store(uri)  # passwords are not recorded
        entries = [entry for entry in sweep.entries if entry.same_as is None]
        runs = self._runs_of(folder, sweep)
        selection.runs += [run for run in runs if run is not None]
        missing = [entry for entry, run in zip(entries, runs, strict=True) if run is None]
        unreadable = sum((folder / entry.folder / RESULT).exists() for entry in missing)
        unstarted = sum(entry.state == "READY" for entry in missing) - unreadable
        if unstarted > 0:
            selection.notes.append(f"{unstarted} of the sweep's {count(len(sweep.entries), 'run')} not started yet")
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
        except (ResumeError, OSError, RecursionError) as error:
            if name == "last":
                raise ReportError(f"{error}; train something first: {_TRAIN_A_RUN}") from error
            if isinstance(error, ResumeError) and Path(name).exists():
                raise ReportError(str(error)) from error
            unquoted = name.replace('"', "").replace("'", "")
            stored = self.reader.runs((), f"attributes.run_id = '{unquoted}'")
            if not stored or not _is_archsearch(stored[0]):
                raise ReportError(f"{first_line(error)}; {self.reader.store} has none either") from error
            return self._study_run(stored[0])
        run = read_study_run(folder, port=self._port)
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

        def number(name: str) -> float | None:
            value = run.metrics.get(name)
            return value if value is not None and 0 <= value <= _LARGEST else None

        def integer(name: str) -> int | None:
            value = number(name)
            return None if value is None else int(value)

        def history() -> Curve:
            path = fetch(RESULT)
            return read_history(path) if path is not None else self._stored_history(run)

        @cache
        def link() -> str | None:
            return run_link(self.reader.store.uri, self._experiment(run), run.run_id, self._port)

        started = datetime.fromtimestamp(min(max(0, run.started), _LATEST) / 1000, UTC).isoformat(timespec="seconds")
        return StudyRun(
            run_id=run.run_id,
            name=printable(run.name),
            state=run.state,
            started=started,
            seed=int(run.params["seed"]),
            settings=settings_of(run.params),
            data=run.params["data"],
            fingerprint=run.tags.get("data.fingerprint", "-"),
            params=integer("params"),
            macs=integer("macs"),
            validation=percent(run.metrics.get("val/accuracy")),
            best=percent(run.metrics.get("val/best_accuracy")),
            test=percent(run.metrics.get("test/accuracy")),
            epoch_seconds=number("epoch_seconds"),
            fetch=fetch,
            history=history,
            link=link,
        )

    def _stored_history(self, run: StoredRun) -> Curve:
        name = "val/accuracy" if "val/accuracy" in run.metrics else "test/accuracy"
        try:
            history = self.reader.client.get_metric_history(run.run_id, name)
        except Exception:  # from MLflow or a database driver; curves are an extra
            return []
        return sorted((metric.step, metric.value) for metric in history if percent(metric.value) is not None)

    def _experiment(self, run: StoredRun) -> str | None:
        try:
            return str(self.reader.client.get_run(run.run_id).info.experiment_id)
        except Exception:  # from MLflow or a database driver; links are an extra
            return None


def _title(sweeps: Sequence[str], options: Options) -> str:
    parts = []
    for kind, names in (("sweep", sweeps), ("run", options.run), ("experiment", options.experiment)):
        if len(names) > _MOST_NAMES:
            parts.append(f"{len(names)} {kind}s")
        elif names:
            parts.append(f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}")
    return ", ".join([*parts, *([f"filter {options.filter}"] if options.filter else [])])


def _have_result(runs: Sequence[StudyRun | None]) -> bool:
    return any(run is not None and has_result(run) for run in runs)


def _is_archsearch(run: StoredRun) -> bool:
    """Whether archsearch recorded the run."""
    seed = run.params.get("seed", "")
    return seed.isdecimal() and len(seed) <= _MOST_DIGITS and "data" in run.params
