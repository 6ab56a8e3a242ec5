"""A sweep from its plan to its table: what Hydra calls in place of its own sweeper.

Before anything trains, `sweep.json` says which variants there are. From then on the folders say how far each of them
is, whatever happened to the process that trained it, and what is missing can be trained at any time.
"""

import logging
import os
import re
import shlex
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from archsearch.data.definitions import Definition
from archsearch.data.load import choose
from archsearch.errors import ConfigError, Problem, ResumeError, StorageError, SweepError, first_line
from archsearch.overrides import resume_of, task_words
from archsearch.prepare import open_store
from archsearch.runs import OUTPUTS, SWEEP
from archsearch.settings import Settings, VariantSettings
from archsearch.sweep.closing import close_sweep
from archsearch.sweep.folder import Entry, SweepRecord, alone, is_finished
from archsearch.sweep.grid import labels
from archsearch.sweep.logs import said_to
from archsearch.sweep.machine import gpus_here, slots_here
from archsearch.sweep.plan import Variant, broken_together, plan_line
from archsearch.sweep.planning import Planned, plan_sweep
from archsearch.sweep.results import outcomes_of
from archsearch.sweep.words import job_words, subdir_of
from archsearch.tracking.recorder import MlflowRecorder, Recorder, RunInfo
from archsearch.tracking.store import Store
from archsearch.tracking.sweeps import begun_variants

log = logging.getLogger(__name__)


def run_sweep(loader: ConfigLoader, master: DictConfig, make_launcher: Callable[[], Launcher]) -> None:
    """Train what `master`, a multirun's configuration, asks for, as far as it is not trained yet.

    Raises `UserError`s before anything is created, `SweepError` at the end if a variant failed, `KeyboardInterrupt`
    after Ctrl-C, when everything is on record.
    """
    choose_once = cache(choose)

    def define(settings: Settings) -> Definition:
        return choose_once(settings.data.name, Path(settings.data.root)).definition

    _check_launcher(master)
    planned = plan_sweep(loader, master, define)
    resumed = any(resume_of(word) for word in task_words(master.hydra))
    folder = Path(str(master.hydra.sweep.dir))
    if not resumed and (folder / SWEEP).exists():
        raise ResumeError(
            f"{folder} holds a sweep already: continue it with -m {_resume(folder)}, or choose another folder"
        )
    _refuse_broken(planned)
    store = open_store(planned.tracking)
    launcher = make_launcher()
    try:
        with alone(folder):
            record = _recorded(planned, folder, master, resumed)
            OmegaConf.save(master, folder / "multirun.yaml")  # as Hydra's own sweeper leaves it
            _Sweep(planned, record, folder, store, launcher).run()
    except OSError as error:
        what = f"cannot write to {error.filename or folder}: {error.strerror or error}"
        raise StorageError(f"{what}; hydra.sweep.dir=... puts a sweep elsewhere") from error


class _Sweep:
    def __init__(
        self, planned: Planned, record: SweepRecord, folder: Path, store: Store | None, launcher: Launcher
    ) -> None:
        self.planned, self.record, self.folder, self.store = planned, record, folder, store
        self.launcher = launcher

    def run(self) -> None:
        """Train what is left, then make the table, however that went."""
        todo = [variant for variant in self._ready() if not is_finished(self._folder_of(variant))]
        with said_to(self.folder):
            self._announce(todo)
            parent = self._open_parent()
        started = time.monotonic()
        interrupted: KeyboardInterrupt | None = None
        try:
            if todo:
                with said_to(self.folder):
                    self._launch(todo)
                    self._record_later()
        except KeyboardInterrupt as stop:
            interrupted = stop
        self.record.seconds += time.monotonic() - started
        outcomes = outcomes_of(self.record, self.folder)
        left = [outcome for outcome in outcomes if outcome.is_left]
        self.record.state = "KILLED" if interrupted else "FAILED" if left else "FINISHED"
        with said_to(self.folder):  # again, because launchers have their own ideas of logging
            close_sweep(self.planned, self.record, self.folder, outcomes, parent)
            if left:
                log.warning("left     python -m archsearch -m %s  goes on with what is left", _resume(self.folder))
        if interrupted is not None:
            raise interrupted
        if left:
            raise SweepError(f"{len(left)} of {len(outcomes)} variants were not trained to their end")

    def _ready(self) -> list[Variant]:
        return [variant for variant in self.planned.variants if variant.verdict == "READY"]

    def _entry(self, variant: Variant) -> Entry:
        return next(entry for entry in self.record.entries if entry.number == variant.number)

    def _folder_of(self, variant: Variant) -> Path:
        return self.folder / self._entry(variant).folder

    def _launch(self, todo: Sequence[Variant]) -> None:
        for variant in todo:
            self._entry(variant).failed, self._entry(variant).reason = False, None
        self.record.state = "RUNNING"
        self.record.write(self.folder)
        begun: Mapping[int, str] = {}
        if self.store is not None and any(self._folder_of(variant).exists() for variant in todo):
            begun = begun_variants(self.store, self.planned.tracking.experiment, self.record.id)
        jobs = []
        for variant in todo:
            of = VariantSettings(
                sweep=self.record.id,
                number=variant.number,
                name=variant.row.name,
                parent=self.record.tracking.get("run_id"),
                run_id=begun.get(variant.number),
            )
            jobs.append(job_words(variant.row.words, self._entry(variant).folder, of))
        try:
            returns = self.launcher.launch(jobs, initial_job_idx=0)
        except Exception as error:  # a launcher that lost a job; the folders say how far each of them is
            log.warning("WARNING: the launcher failed: %s: %s", type(error).__name__, first_line(error), exc_info=True)
            return
        for variant, returned in zip(todo, returns, strict=True):
            if returned.status == JobStatus.FAILED:
                self._entry(variant).failed, self._entry(variant).reason = True, str(returned._return_value)

    def _record_later(self) -> None:
        """Send what a tracking store that was away did not take, if it is back."""
        trained = {outcome.number for outcome in outcomes_of(self.record, self.folder) if not outcome.is_left}
        missed = [
            variant
            for variant in self._ready()
            if variant.number in trained and not is_finished(self._folder_of(variant))
        ]
        if missed and self.store is not None and self.store.answers():
            log.info("%d variants are trained, and not wholly in MLflow: sending the rest", len(missed))
            self._launch(missed)

    def _announce(self, todo: Sequence[Variant]) -> None:
        planned = self.planned
        slots = slots_here(planned.sweep, gpus_here())
        log.info("%s", plan_line(planned.variants, len(slots)))
        for variant in planned.variants:
            if variant.verdict != "READY":
                log.info("  %d %s: %s: %s", variant.number, variant.row.name, variant.verdict.lower(), variant.reason)
        done = len(self._ready()) - len(todo)
        if done:
            log.info("%d are trained already, %d are left", done, len(todo))

    def _open_parent(self) -> Recorder:
        """The sweep's own run in MLflow: a new one, or the one it had."""
        if self.store is None:
            return Recorder()
        record, tracking = self.record, self.planned.tracking
        info = RunInfo(
            f"sweep of {', '.join(labels(record.keys)) or 'one variant'}"[:200],
            {},
            # Not params, which MLflow does not let change: resuming can make a sweep larger.
            {
                "sweep.id": record.id,
                "sweep.overrides": " ".join(record.overrides),
                "folder": str(self.folder.absolute()),
            },
        )
        same_store = record.tracking.get("uri") == str(self.store)
        recorder = MlflowRecorder.start(
            self.store, tracking.experiment, info, record.tracking.get("run_id") if same_store else None
        )
        record.tracking = {**recorder.describe(), "run_id": recorder.run_id}
        record.write(self.folder)
        return recorder


def _check_launcher(master: DictConfig) -> None:
    package = ".".join(str(master.hydra.launcher._target_).split(".")[:2])
    if find_spec(package) is None:
        choice = str(master.hydra.runtime.choices["hydra/launcher"])
        extra = choice.split("_", maxsplit=1)[0]
        rule = f"got {choice}, whose package is not installed: pip install 'archsearch[{extra}]'"
        raise ConfigError([Problem("hydra/launcher", rule)])


def _refuse_broken(planned: Planned) -> None:
    error = broken_together(planned.variants)
    if error is not None and planned.sweep.invalid == "stop":
        raise error
    if not any(variant.verdict == "READY" for variant in planned.variants):
        reasons = (problem for variant in planned.variants for problem in variant.problems)
        raise ConfigError([*dict.fromkeys(reasons), Problem("sweep", "no variant is left to train")])


def _recorded(planned: Planned, folder: Path, master: DictConfig, resumed: bool) -> SweepRecord:
    """The sweep's record on disk: a new one, or the one it had, with the variants that it did not have yet.

    Numbers `planned.variants` as the record does.
    """
    if resumed:
        record = SweepRecord.read(folder)
        _renumber(planned.variants, record, folder)
        record.keys = list(dict.fromkeys([*planned.keys, *record.keys]))
        record.overrides = list(planned.words)
    else:
        record = SweepRecord(list(planned.words), _id_of(folder), list(planned.keys), [])
    known = {entry.number: position for position, entry in enumerate(record.entries)}
    for variant in planned.variants:
        if variant.number in known:
            before = record.entries[known[variant.number]]
            entry = Entry.of(variant, before.folder)
            if variant.verdict == "READY":
                entry.reason, entry.failed = before.reason, before.failed
            record.entries[known[variant.number]] = entry
        else:
            record.entries.append(Entry.of(variant, subdir_of(master, variant.number, variant.row.words)))
    record.write(folder)
    return record


def _renumber(variants: list[Variant], record: SweepRecord, folder: Path) -> None:
    """Give `variants` the numbers that they have in `record`; those that it does not have, the next ones."""
    prints = {entry.fingerprint for entry in record.entries}
    ready = [variant for variant in variants if variant.verdict == "READY"]
    if not any(variant.fingerprint in prints for variant in ready):
        raise ResumeError(
            f"resume: none of these variants is in the sweep in {folder}; leave out resume for a new sweep, or"
            " everything else for the variants that it has"
        )
    numbers: dict[int, int] = {}
    for variant in variants:
        free = [entry for entry in record.entries if entry.number not in numbers.values()]
        entry = next((entry for entry in free if _is_same(entry, variant)), None)
        taken = [*(entry.number for entry in record.entries), *numbers.values()]
        numbers[variant.number] = max(taken) + 1 if entry is None else entry.number
    for position, variant in enumerate(variants):
        same_as = None if variant.same_as is None else numbers[variant.same_as]
        variants[position] = replace(variant, number=numbers[variant.number], same_as=same_as)


def _is_same(entry: Entry, variant: Variant) -> bool:
    if entry.fingerprint is None or variant.fingerprint is None:  # one that was broken, or is now
        return entry.values == variant.row.values
    if "DUPLICATE" in (entry.verdict, variant.verdict):
        return entry.fingerprint == variant.fingerprint and entry.values == variant.row.values
    return entry.fingerprint == variant.fingerprint


def _id_of(folder: Path) -> str:
    """What tells a sweep from all others: its folder's name; unless that is a time, with something unique behind it."""
    name = folder.name
    return name if re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}", name) else f"{name}-{uuid.uuid4().hex[:6]}"


def _resume(folder: Path) -> str:
    inside = OUTPUTS.absolute() in folder.absolute().parents
    return shlex.quote(f"resume={folder.name if inside else os.path.relpath(folder)}")
