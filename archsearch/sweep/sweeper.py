"""A sweep from its plan to its table: what Hydra calls in place of its own sweeper.

Before anything trains, `sweep.json` says which runs there are. From then on the folders say how far each of them
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

from archsearch.compose.composition import task_overrides
from archsearch.compose.labels import labels
from archsearch.compose.overrides import resume_of
from archsearch.config.settings import Settings, SweepRunSettings
from archsearch.data.info import DatasetInfo
from archsearch.data.load import ResolvedDataset, resolve_dataset
from archsearch.errors import ConfigError, Problem, ResumeError, StorageError, SweepError, TrackingError, first_line
from archsearch.runs.console import data_banner
from archsearch.runs.folder import OUTPUTS, SWEEP
from archsearch.runs.prepare import open_store
from archsearch.sweep.closing import close_sweep
from archsearch.sweep.display import logged_to
from archsearch.sweep.job import job_overrides
from archsearch.sweep.machine import gpus_here, slots_here
from archsearch.sweep.numbering import new_record, resumed_record
from archsearch.sweep.plan import PlannedRun, SweepPlan, plan_sweep
from archsearch.sweep.plan_table import invalid_runs_error, plan_summary
from archsearch.sweep.record import Entry, SweepRecord, is_finished, sweep_lock
from archsearch.sweep.results import outcomes_of
from archsearch.tracking.recorder import MlflowRecorder, Recorder, RunInfo
from archsearch.tracking.store import Store
from archsearch.tracking.sweeps import begun_runs

log = logging.getLogger(__name__)


def run_sweep(loader: ConfigLoader, master: DictConfig, make_launcher: Callable[[], Launcher]) -> None:
    """Train what `master`, a multirun's configuration, asks for, as far as it is not trained yet.

    Raises `UserError`s before anything is created, `SweepError` at the end if a run failed, `KeyboardInterrupt`
    after Ctrl-C, when everything is on record.
    """
    _check_launcher(master)
    folder = Path(str(master.hydra.sweep.dir))
    resumed = any(resume_of(override) for override in task_overrides(master.hydra))
    if not resumed and (folder / SWEEP).exists():
        raise ResumeError(
            f"{folder} holds a sweep already: continue it with -m {_resume(folder)}, or choose another folder"
        )
    before = SweepRecord.read(folder) if resumed else None
    choices: dict[tuple[str, str], ResolvedDataset] = {}

    def define(settings: Settings) -> DatasetInfo:
        key = settings.data.name, settings.data.root
        if key not in choices:
            choices[key] = resolve_dataset(key[0], Path(key[1]))
        return choices[key].info

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
        with sweep_lock(folder):
            record.write(folder)
            OmegaConf.save(master, folder / "multirun.yaml")  # as Hydra's own sweeper leaves it
            _Sweep(planned, record, folder, store, launcher).run(list(choices.values()))
    except OSError as error:
        what = f"cannot write to {error.filename or folder}: {error.strerror or error}"
        raise StorageError(f"{what}; hydra.sweep.dir=... puts a sweep elsewhere") from error


class _Sweep:
    def __init__(
        self, planned: SweepPlan, record: SweepRecord, folder: Path, store: Store | None, launcher: Launcher
    ) -> None:
        self.planned, self.record, self.folder, self.store = planned, record, folder, store
        self.launcher = launcher

    def run(self, data: Sequence[ResolvedDataset]) -> None:
        """Train what is left on `data`, then make the table, however that went."""
        todo = [run for run in self._ready() if not is_finished(self._folder_of(run))]
        interrupted: KeyboardInterrupt | None = None
        with logged_to(self.folder):
            self._announce(todo, data)
            parent = self._open_parent()
        started = time.monotonic()
        try:
            if todo:
                with logged_to(self.folder):
                    self._launch(todo)
                    self._record_later()
        except KeyboardInterrupt as stop:
            interrupted = stop
        self.record.seconds += time.monotonic() - started
        outcomes = outcomes_of(self.record, self.folder)
        left = [outcome for outcome in outcomes if outcome.is_left]
        self.record.state = "KILLED" if interrupted else "FAILED" if left else "FINISHED"
        with logged_to(self.folder):  # again, because launchers have their own ideas of logging
            close_sweep(self.planned, self.record, self.folder, outcomes, parent)
            if left:
                log.warning("left     python -m archsearch -m %s  goes on with what is left", _resume(self.folder))
        if interrupted is not None:
            raise interrupted
        if left:
            raise SweepError(f"{len(left)} of {len(outcomes)} runs were not trained to their end")

    def _ready(self) -> list[PlannedRun]:
        return [run for run in self.planned.runs if run.state == "READY"]

    def _entry(self, run: PlannedRun) -> Entry:
        return next(entry for entry in self.record.entries if entry.number == run.number)

    def _folder_of(self, run: PlannedRun) -> Path:
        return self.folder / self._entry(run).folder

    def _launch(self, todo: Sequence[PlannedRun]) -> None:
        for run in todo:
            self._entry(run).failed, self._entry(run).reason = False, None
        self.record.state = "RUNNING"
        self.record.write(self.folder)
        begun = self._begun(todo)
        jobs = []
        for run in todo:
            of = SweepRunSettings(
                sweep=self.record.id,
                number=run.number,
                name=run.point.name,
                parent=self.record.tracking.get("run_id"),
                run_id=begun.get(run.number),
            )
            jobs.append(job_overrides(run.point.overrides, self._entry(run).folder, of))
        try:
            returns = self.launcher.launch(jobs, initial_job_idx=0)
        except Exception as error:  # a launcher that lost a job; the folders say how far each of them is
            log.warning("WARNING: the launcher failed: %s: %s", type(error).__name__, first_line(error), exc_info=True)
            return
        for run, returned in zip(todo, returns, strict=True):
            if returned.status == JobStatus.FAILED:
                raised = returned._return_value
                self._entry(run).failed = True
                self._entry(run).reason = str(raised) or type(raised).__name__

    def _begun(self, todo: Sequence[PlannedRun]) -> Mapping[int, str]:
        """The runs in MLflow that were begun for `todo` before: to go on with, rather than to leave behind."""
        if self.store is None or not any(self._folder_of(run).exists() for run in todo):
            return {}
        try:
            return begun_runs(self.store, self.planned.tracking.experiment, self.record.id)
        except TrackingError as error:
            log.warning("WARNING: %s", first_line(error))
            return {}

    def _record_later(self) -> None:
        """Send what a tracking store that was away did not take, if it is back."""
        trained = {outcome.number for outcome in outcomes_of(self.record, self.folder) if not outcome.is_left}
        missed = [run for run in self._ready() if run.number in trained and not is_finished(self._folder_of(run))]
        if missed and self.store is not None and self.store.answers():
            log.info("%d runs are trained, and not wholly in MLflow: sending the rest", len(missed))
            self._launch(missed)

    def _announce(self, todo: Sequence[PlannedRun], data: Sequence[ResolvedDataset]) -> None:
        planned = self.planned
        log.info("%s", plan_summary(planned.runs, len(slots_here(planned.sweep, gpus_here())), todo))
        for run in planned.runs:
            if run.state != "READY":
                log.info("  %d %s: %s: %s", run.number, run.point.name, run.state.lower(), run.reason)
        for choice in data:
            if choice.fallback is not None:
                log.warning(data_banner(choice.info.title, choice.fallback))

    def _open_parent(self) -> Recorder:
        """The sweep's own run in MLflow: a new one, or the one it had."""
        if self.store is None:
            return Recorder()
        record, tracking = self.record, self.planned.tracking
        info = RunInfo(
            f"sweep of {', '.join(labels(record.keys)) or 'one run'}"[:200],
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


def _check_stack(planned: SweepPlan, master: DictConfig) -> None:
    if planned.sweep.stack > 1 and _package_of_launcher(master) != "hydra_plugins.archsearch":
        rule = f"got {planned.sweep.stack}, and only hydra/launcher=archsearch trains several runs as one network"
        raise ConfigError([Problem("sweep.stack", rule)])


def _refuse_broken(planned: SweepPlan) -> None:
    error = invalid_runs_error(planned.runs)
    if error is not None and planned.sweep.invalid == "stop":
        raise error
    for run in planned.runs:
        device = "" if run.settings is None else run.settings.trainer.device
        if device.startswith("cuda:"):
            rule = f"got {device!r}, and a sweep gives each of its workers a GPU; say cuda, and which ones may be used"
            raise ConfigError([Problem("trainer.device", f"{rule} in CUDA_VISIBLE_DEVICES")])
    if not any(run.state == "READY" for run in planned.runs):
        reasons = (problem for run in planned.runs for problem in run.problems)
        raise ConfigError([*dict.fromkeys(reasons), Problem("sweep", "no run is left to train")])


def _resume(folder: Path) -> str:
    by_name = folder.absolute().parent == (OUTPUTS / "sweeps").absolute()
    return shlex.quote(f"resume={folder.name if by_name else os.path.relpath(folder)}")
