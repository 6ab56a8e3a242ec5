"""A sweep from its plan to its table: what Hydra calls in place of its own sweeper.

Before anything trains, `sweep.json` says which variants there are. From then on the folders say how far each of them
is, whatever happened to the process that trained it, and what is missing can be trained at any time.
"""

import logging
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from archsearch.compose.overrides import resume_of, task_words
from archsearch.config.settings import Settings, VariantSettings
from archsearch.data.definitions import Definition
from archsearch.data.load import Choice, choose
from archsearch.errors import ConfigError, Problem, ResumeError, StorageError, SweepError, TrackingError, first_line
from archsearch.runs.console import data_banner
from archsearch.runs.folder import OUTPUTS, SWEEP
from archsearch.runs.prepare import open_store
from archsearch.sweep.closing import close_sweep
from archsearch.sweep.grid import labels
from archsearch.sweep.logs import said_to
from archsearch.sweep.machine import gpus_here, slots_here
from archsearch.sweep.numbering import new_record, resumed_record
from archsearch.sweep.plan import Variant, broken_together, plan_line
from archsearch.sweep.planning import Planned, plan_sweep
from archsearch.sweep.record import Entry, SweepRecord, alone, is_finished
from archsearch.sweep.results import outcomes_of
from archsearch.sweep.words import job_words
from archsearch.tracking.recorder import MlflowRecorder, Recorder, RunInfo
from archsearch.tracking.store import Store
from archsearch.tracking.sweeps import begun_variants

log = logging.getLogger(__name__)


def run_sweep(loader: ConfigLoader, master: DictConfig, make_launcher: Callable[[], Launcher]) -> None:
    """Train what `master`, a multirun's configuration, asks for, as far as it is not trained yet.

    Raises `UserError`s before anything is created, `SweepError` at the end if a variant failed, `KeyboardInterrupt`
    after Ctrl-C, when everything is on record.
    """
    _check_launcher(master)
    folder = Path(str(master.hydra.sweep.dir))
    resumed = any(resume_of(word) for word in task_words(master.hydra))
    if not resumed and (folder / SWEEP).exists():
        raise ResumeError(
            f"{folder} holds a sweep already: continue it with -m {_resume(folder)}, or choose another folder"
        )
    before = SweepRecord.read(folder) if resumed else None
    choices: dict[tuple[str, str], Choice] = {}

    def define(settings: Settings) -> Definition:
        key = settings.data.name, settings.data.root
        if key not in choices:
            choices[key] = choose(key[0], Path(key[1]))
        return choices[key].definition

    planned = plan_sweep(loader, master, define, before)
    _refuse_broken(planned)
    _check_stack(planned, master)
    if before is not None:
        record = resumed_record(before, planned, folder, master)
    else:
        record = new_record(planned, folder, master)
    store = open_store(planned.tracking)
    launcher = make_launcher()
    try:
        with alone(folder):
            record.write(folder)
            OmegaConf.save(master, folder / "multirun.yaml")  # as Hydra's own sweeper leaves it
            _Sweep(planned, record, folder, store, launcher).run(list(choices.values()))
    except OSError as error:
        what = f"cannot write to {error.filename or folder}: {error.strerror or error}"
        raise StorageError(f"{what}; hydra.sweep.dir=... puts a sweep elsewhere") from error


class _Sweep:
    def __init__(
        self, planned: Planned, record: SweepRecord, folder: Path, store: Store | None, launcher: Launcher
    ) -> None:
        self.planned, self.record, self.folder, self.store = planned, record, folder, store
        self.launcher = launcher

    def run(self, data: Sequence[Choice]) -> None:
        """Train what is left on `data`, then make the table, however that went."""
        todo = [variant for variant in self._ready() if not is_finished(self._folder_of(variant))]
        interrupted: KeyboardInterrupt | None = None
        with said_to(self.folder):
            self._announce(todo, data)
            parent = self._open_parent()
        started = time.monotonic()
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
        begun = self._begun(todo)
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
                raised = returned._return_value
                self._entry(variant).failed = True
                self._entry(variant).reason = str(raised) or type(raised).__name__

    def _begun(self, todo: Sequence[Variant]) -> Mapping[int, str]:
        """The runs in MLflow that were begun for `todo` before: to go on with, rather than to leave behind."""
        if self.store is None or not any(self._folder_of(variant).exists() for variant in todo):
            return {}
        try:
            return begun_variants(self.store, self.planned.tracking.experiment, self.record.id)
        except TrackingError as error:
            log.warning("WARNING: %s", first_line(error))
            return {}

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

    def _announce(self, todo: Sequence[Variant], data: Sequence[Choice]) -> None:
        planned = self.planned
        log.info("%s", plan_line(planned.variants, len(slots_here(planned.sweep, gpus_here())), todo))
        for variant in planned.variants:
            if variant.verdict != "READY":
                log.info("  %d %s: %s: %s", variant.number, variant.row.name, variant.verdict.lower(), variant.reason)
        for choice in data:
            if choice.fallback is not None:
                log.warning(data_banner(choice.definition.title, choice.fallback))

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


def _package_of_launcher(master: DictConfig) -> str:
    return ".".join(str(master.hydra.launcher._target_).split(".")[:2])


def _check_launcher(master: DictConfig) -> None:
    package = _package_of_launcher(master)
    if find_spec(package) is None:
        choice = str(master.hydra.runtime.choices["hydra/launcher"])
        extra = choice.split("_", maxsplit=1)[0]
        rule = f"got {choice}, whose package is not installed: pip install 'archsearch[{extra}]'"
        raise ConfigError([Problem("hydra/launcher", rule)])


def _check_stack(planned: Planned, master: DictConfig) -> None:
    if planned.sweep.stack > 1 and _package_of_launcher(master) != "hydra_plugins.archsearch":
        rule = f"got {planned.sweep.stack}, and only hydra/launcher=archsearch trains several variants as one network"
        raise ConfigError([Problem("sweep.stack", rule)])


def _refuse_broken(planned: Planned) -> None:
    error = broken_together(planned.variants)
    if error is not None and planned.sweep.invalid == "stop":
        raise error
    for variant in planned.variants:
        device = "" if variant.settings is None else variant.settings.trainer.device
        if device.startswith("cuda:"):
            rule = f"got {device!r}, and a sweep gives each of its workers a GPU; say cuda, and which ones may be used"
            raise ConfigError([Problem("trainer.device", f"{rule} in CUDA_VISIBLE_DEVICES")])
    if not any(variant.verdict == "READY" for variant in planned.variants):
        reasons = (problem for variant in planned.variants for problem in variant.problems)
        raise ConfigError([*dict.fromkeys(reasons), Problem("sweep", "no variant is left to train")])


def _resume(folder: Path) -> str:
    by_name = folder.absolute().parent == (OUTPUTS / "sweeps").absolute()
    return shlex.quote(f"resume={folder.name if by_name else os.path.relpath(folder)}")
