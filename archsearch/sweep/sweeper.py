"""A sweep from its plan to its table: Hydra calls this in place of its own sweeper.

`sweep.json` lists the runs before training starts. The folders of the runs hold their progress, even after a crash, so
the remaining runs can be trained at any time.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from archsearch.config.settings import SweepRunSettings
from archsearch.errors import ConfigError, Problem, StorageError, SweepError, first_line
from archsearch.runs.folder import note_begun
from archsearch.runs.formatting import count
from archsearch.runs.prepare import check_device, open_store
from archsearch.sweep.closing import close_sweep
from archsearch.sweep.job import job_overrides
from archsearch.sweep.logs import logged_to
from archsearch.sweep.machine import environment, gpus_here, slots_here
from archsearch.sweep.numbering import new_record, resumed_record
from archsearch.sweep.opening import (
    Datasets,
    begun_before,
    interruption_explained,
    open_parent,
    recorded_store,
    resume_line,
    resumed_sweep,
)
from archsearch.sweep.plan import PlannedRun, SweepPlan, plan_sweep
from archsearch.sweep.plan_table import invalid_runs_error, plan_summary, state_name
from archsearch.sweep.record import Entry, SweepRecord, is_finished, sweep_lock
from archsearch.sweep.results import outcomes_of
from archsearch.system.screen import doing
from archsearch.tracking.mlflow_recorder import PATIENCE, MlflowRecorder
from archsearch.tracking.recorder import Recorder
from archsearch.tracking.store import Store

log = logging.getLogger(__name__)


def run_sweep(loader: ConfigLoader, master: DictConfig, make_launcher: Callable[[], Launcher]) -> None:
    """Train the runs of `master`, the configuration of a multirun, that are not trained yet.

    Raises `UserError`s before anything is created, `SweepError` at the end if a run failed, and `KeyboardInterrupt`
    after Ctrl-C, once everything is recorded.
    """
    _check_launcher(master)
    folder = Path(str(master.hydra.sweep.dir))
    before, datasets = resumed_sweep(master, folder), Datasets()
    with interruption_explained(folder), logged_to(None), doing("planning the sweep"):
        planned = plan_sweep(loader, master, datasets.find, before)
    with environment(recorded_store(before)):
        _run_planned(planned, before, folder, master, make_launcher, datasets)


def _run_planned(
    planned: SweepPlan,
    before: SweepRecord | None,
    folder: Path,
    master: DictConfig,
    make_launcher: Callable[[], Launcher],
    datasets: Datasets,
) -> None:
    _check_runs(planned)
    _check_stack(planned, master)
    if before is not None:
        record = resumed_record(before, planned, folder, master)
    else:
        record = new_record(planned, folder, master)
    if _trains_here(master):
        for device in {run.settings.trainer.device for run in planned.runs if run.settings is not None}:
            check_device(device)
    with interruption_explained(folder), doing("opening the MLflow store"):
        store = open_store(planned.tracking)
    launcher = make_launcher()
    try:
        with sweep_lock(folder):
            record.write(folder)
            note_begun(folder)
            OmegaConf.save(master, folder / "multirun.yaml")  # as Hydra's own sweeper leaves it
            _Sweep(planned, record, folder, store, launcher).run(datasets)
    except OSError as error:
        problem = f"cannot write to {error.filename or folder}: {error.strerror or error}"
        raise StorageError(f"{problem}; set hydra.sweep.dir to use another folder") from error


class _Sweep:
    def __init__(
        self, planned: SweepPlan, record: SweepRecord, folder: Path, store: Store | None, launcher: Launcher
    ) -> None:
        self.planned, self.record, self.folder, self.store = planned, record, folder, store
        self.launcher = launcher

    def run(self, datasets: Datasets) -> None:
        """Train the remaining runs, then write the table, even after an interruption."""
        remaining = [run for run in self._ready() if not is_finished(self._folder_of(run))]
        interrupted: KeyboardInterrupt | None = None
        with interruption_explained(self.folder), logged_to(self.folder):
            self._announce(remaining)
            datasets.announce()
            with doing("starting the sweep in MLflow"):
                parent = open_parent(self.record, self.folder, self.store, self.planned.tracking)
        started = time.monotonic()
        try:
            if remaining:
                with logged_to(self.folder):
                    self._launch(remaining)
                    self._record_later(parent)
        except KeyboardInterrupt as interrupt:
            interrupted = interrupt
        self.record.seconds += time.monotonic() - started
        outcomes = outcomes_of(self.record, self.folder)
        unfinished = sum(outcome.is_unfinished for outcome in outcomes)
        self.record.state = "KILLED" if interrupted else "FAILED" if unfinished else "FINISHED"
        with logged_to(self.folder):  # again, because launchers configure logging themselves
            close_sweep(self.planned.ui, self.record, self.folder, outcomes, parent)
            if unfinished:
                log.warning("%s", resume_line(self.folder))
        if interrupted is not None:
            raise interrupted
        if unfinished:
            raise SweepError(f"{unfinished} of {count(len(outcomes), 'run')} did not finish")

    def _ready(self) -> list[PlannedRun]:
        return [run for run in self.planned.runs if run.state == "READY"]

    def _entry(self, run: PlannedRun) -> Entry:
        return next(entry for entry in self.record.entries if entry.number == run.number)

    def _folder_of(self, run: PlannedRun) -> Path:
        return self.folder / self._entry(run).folder

    def _launch(self, runs: Sequence[PlannedRun]) -> None:
        for run in runs:
            self._entry(run).failed, self._entry(run).reason = False, None
        self.record.state = "RUNNING"
        self.record.write(self.folder)
        begun = self._begun(runs)
        jobs = []
        for run in runs:
            sweep_run = SweepRunSettings(
                sweep=self.record.id,
                number=run.number,
                name=run.point.name,
                parent=self.record.tracking.get("run_id"),
                run_id=begun.get(run.number),
            )
            jobs.append(job_overrides(run.point.overrides, self._entry(run).folder, sweep_run))
        try:
            returns = self.launcher.launch(jobs, initial_job_idx=0)
        except Exception as error:  # a launcher may lose a job; the folders hold the progress
            log.warning("WARNING: the launcher failed: %s: %s", type(error).__name__, first_line(error), exc_info=True)
            return
        for run, returned in zip(runs, returns, strict=True):
            if returned.status == JobStatus.FAILED:
                failure = returned._return_value
                self._entry(run).failed = True
                self._entry(run).reason = str(failure) or type(failure).__name__

    def _begun(self, runs: Sequence[PlannedRun]) -> Mapping[int, str]:
        """The ids of MLflow runs that earlier attempts at `runs` began, by number, so that they can be continued."""
        if self.store is None or not any(self._folder_of(run).exists() for run in runs):
            return {}
        return begun_before(self.record, self.store, self.planned.tracking)

    def _record_later(self, parent: Recorder) -> None:
        """Send the results that the tracking store missed while it was down. Waits for the store to come back."""
        trained = {outcome.number for outcome in outcomes_of(self.record, self.folder) if not outcome.is_unfinished}
        unrecorded = [run for run in self._ready() if run.number in trained and not is_finished(self._folder_of(run))]
        if not unrecorded or not isinstance(parent, MlflowRecorder):
            return
        missing = f"MLflow is missing results of {count(len(unrecorded), 'run')}"
        if not parent.store.answers():
            log.info("%s: waiting up to %.0f s for the tracking store", missing, PATIENCE)
            if not parent.store.answers_within(PATIENCE):
                parent.patience = 0.0  # the sweep has waited once
                return
        log.info("%s: sending them", missing)
        self._launch(unrecorded)

    def _announce(self, remaining: Sequence[PlannedRun]) -> None:
        planned = self.planned
        log.info("%s", plan_summary(planned.runs, len(slots_here(planned.sweep, gpus_here())), remaining))
        for run in planned.runs:
            if run.state != "READY":
                log.info("  %d %s: %s: %s", run.number, run.point.name, state_name(run.state), run.reason)


def _package_of_launcher(master: DictConfig) -> str:
    return ".".join(str(master.hydra.launcher._target_).split(".")[:2])


def _trains_here(master: DictConfig) -> bool:
    """Whether archsearch's own launcher trains the runs, on this machine."""
    return _package_of_launcher(master) == "hydra_plugins.archsearch"


def _check_launcher(master: DictConfig) -> None:
    package = _package_of_launcher(master)
    if find_spec(package) is None:
        choice = str(master.hydra.runtime.choices["hydra/launcher"])
        extra = choice.split("_", maxsplit=1)[0]
        rule = f"got {choice}, but its package is not installed; run pip install 'archsearch[{extra}]'"
        raise ConfigError([Problem("hydra/launcher", rule)])


def _check_stack(planned: SweepPlan, master: DictConfig) -> None:
    if planned.sweep.stack > 1 and not _trains_here(master):
        rule = f"got {planned.sweep.stack}, must be 1 unless hydra/launcher=archsearch trains the runs"
        raise ConfigError([Problem("sweep.stack", rule)])


def _check_runs(planned: SweepPlan) -> None:
    error = invalid_runs_error(planned.runs)
    if error is not None and planned.sweep.invalid == "stop":
        raise error
    for run in planned.runs:
        device = "" if run.settings is None else run.settings.trainer.device
        if device.startswith("cuda:"):
            rule = f"got {device!r}, must be cuda in a sweep; choose its GPUs with CUDA_VISIBLE_DEVICES"
            raise ConfigError([Problem("trainer.device", rule)])
        if run.settings is not None and run.settings.overwrite:
            rule = "got true, must be false in a sweep, which replaces no folder; choose another hydra.sweep.dir"
            raise ConfigError([Problem("overwrite", rule)])
    if not any(run.state == "READY" for run in planned.runs):
        reasons = (problem for run in planned.runs for problem in run.problems)
        raise ConfigError([*dict.fromkeys(reasons), Problem("sweep", "no run can be trained")])
