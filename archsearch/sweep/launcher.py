"""The launcher that trains the jobs of a multirun on this machine: it prepares them and passes them to a pool."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from archsearch.config.settings import SweepSettings
from archsearch.data.load import resolve_dataset
from archsearch.errors import SweepError, TrackingError
from archsearch.runs.folder import CHECKPOINT, OUTPUTS, PREVIOUS
from archsearch.runs.prepare import PreparedRun, prepare_in_sweep
from archsearch.sweep.composer import Composer
from archsearch.sweep.display import Display
from archsearch.sweep.estimate import estimate, slowness_here
from archsearch.sweep.job import SUBDIR, subdir_of
from archsearch.sweep.machine import cores, gpus_here, slots_here
from archsearch.sweep.pool import Pool
from archsearch.sweep.pool_base import PoolBase, PoolListener
from archsearch.sweep.ray_cluster import Share
from archsearch.sweep.ray_pool import RayPool
from archsearch.sweep.record import record_failure
from archsearch.sweep.worker import AttemptEnd, Job, Team
from archsearch.tracking.sweeps import begun_runs, end_run
from archsearch.training.stacked.rules import why_not_stackable

WORKERS_LOG = "workers.log"

log = logging.getLogger(__name__)


def launch(
    loader: ConfigLoader, master: DictConfig, job_overrides: Sequence[Sequence[str]], first_number: int
) -> list[JobReturn]:
    """Train the jobs with these overrides in worker processes; returns Hydra's return value of each, in order."""
    folder = Path(str(master.hydra.sweep.dir))
    run_folders = [
        folder / subdir_of(master, first_number + position, overrides)
        for position, overrides in enumerate(job_overrides)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    composer, resolve_once = Composer(loader, master), cache(resolve_dataset)
    jobs: list[Job] = []
    refused: dict[int, Exception] = {}  # by position
    for position, overrides in enumerate(job_overrides):
        number = first_number + position
        run_folder = run_folders[position]
        try:
            task_overrides = [override for override in overrides if not override.startswith(SUBDIR)]
            prepared = prepare_in_sweep(composer.request(task_overrides, number), run_folder, resolve_once)
        except Exception as error:  # the other jobs are trained all the same
            refused[position] = error
            continue
        sweep_run = prepared.settings.sweep_run
        jobs.append(Job(number if sweep_run is None else sweep_run.number, prepared, run_folder))
    outcomes = _train(jobs, folder, master) if jobs else {}
    trained = iter(jobs)
    return [
        _refused_return(overrides, refused[position])
        if position in refused
        else _job_return(next(trained), overrides, outcomes)
        for position, overrides in enumerate(job_overrides)
    ]


def _train(jobs: Sequence[Job], folder: Path, master: DictConfig) -> dict[int, AttemptEnd]:
    settings = jobs[0].prepared.settings.sweep
    slots = slots_for(settings, [job.prepared.settings.trainer.device for job in jobs])
    slowness = slowness_here(OUTPUTS)
    seconds = {job.number: _estimate(job.prepared, slowness) for job in jobs}
    # The longest first, so that at the end no worker trains a long team while the others are idle.
    teams = sorted(teams_of(jobs, settings), key=lambda team: -sum(seconds[job.number] for job in team))
    reason = why_alone(teams, settings)
    if reason is not None:
        log.info("sweep.stack=%d: every run trains alone: %s", settings.stack, reason)
    names = {job.number: job.prepared.request.name for job in jobs}
    with Display(names, seconds, min(len(slots), len(teams))) as display:
        return make_pool(slots, settings, folder, master, display).run(teams)


def slots_for(settings: SweepSettings, devices: Iterable[str]) -> list[dict[str, str]]:
    """The environment of each worker of a sweep whose runs train on `devices`."""
    on_cpu = all(device == "cpu" for device in devices)
    return slots_here(settings, 0 if on_cpu else gpus_here())


def make_pool(
    slots: Sequence[Mapping[str, str]],
    settings: SweepSettings,
    folder: Path,
    master: DictConfig,
    listener: PoolListener,
) -> Pool:
    """A pool of one worker per slot for the sweep in `folder`, which records failures and reports to `listener`."""
    job_environment = _job_environment(master)
    shares_gpu = any("CUDA_VISIBLE_DEVICES" in slot for slot in slots)
    return Pool(
        slots=[{**slot, **job_environment} for slot in slots],
        settings=settings,
        log=folder / WORKERS_LOG,
        listener=_RecordingListener(listener),
        renew=_renew,
        threads=max(1, cores() // len(slots)) if shares_gpu else 1,
    )


def make_ray_pool(share: Share, settings: SweepSettings, master: DictConfig, listener: PoolListener) -> PoolBase:
    """A pool of tasks on the Ray cluster that this process is connected to; records and reports like `make_pool`'s."""
    return RayPool(
        share=share,
        settings=settings,
        listener=_RecordingListener(listener),
        renew=_renew,
        environment=_job_environment(master),
    )


def _job_environment(master: DictConfig) -> dict[str, str]:
    return {str(name): str(value) for name, value in master.hydra.job.env_set.items()}


def teams_of(jobs: Sequence[Job], settings: SweepSettings) -> list[Team]:
    """Group jobs into teams that train as one network: stackable jobs that have not begun, at most `sweep.stack` each.

    With `sweep.time_limit`, which applies to single runs, each job trains alone.
    """
    teams: list[list[Job]] = []
    size = settings.stack if settings.time_limit is None else 1
    for job in jobs:
        team = None
        if size > 1 and job.prepared.resumed is None:
            open_teams = (other for other in teams if len(other) < size and other[0].prepared.resumed is None)
            team = next((other for other in open_teams if _stackable(other[0].prepared, job.prepared)), None)
        if team is None:
            teams.append([job])
        else:
            team.append(job)
    return [tuple(team) for team in teams]


def why_alone(teams: Sequence[Team], settings: SweepSettings) -> str | None:
    """Why no two jobs train as one network although `sweep.stack` asks for it; None if some do."""
    if settings.stack == 1 or len(teams) < 2 or any(len(team) > 1 for team in teams):
        return None
    if settings.time_limit is not None:
        return "sweep.time_limit applies to single runs"
    fresh = [team[0].prepared for team in teams if team[0].prepared.resumed is None]
    if len(fresh) < 2:
        return "runs that continue from a checkpoint cannot be stacked"
    return next(filter(None, (why_not_stackable([fresh[0], other]) for other in fresh[1:])), None)


def _stackable(first: PreparedRun, second: PreparedRun) -> bool:
    return why_not_stackable([first, second]) is None


class _RecordingListener:
    """Records the failures that a dead worker could not record, and passes all reports on to `listener`."""

    def __init__(self, listener: PoolListener) -> None:
        self.listener = listener
        self.started, self.progressed = listener.started, listener.progressed
        self.stopping, self.tick = listener.stopping, listener.tick

    def ended(self, job: Job, end: AttemptEnd, retried: bool) -> None:
        """Write a failure to the run's folder and to MLflow unless the worker did."""
        if end.state == "FAILED":
            prepared, reason = job.prepared, end.reason or ""
            run_id = record_failure(job.folder, reason)
            if run_id is not None and prepared.store is not None:
                end_run(prepared.store, prepared.settings.tracking.experiment, run_id, reason)
        self.listener.ended(job, end, retried)


def _renew(job: Job) -> Job:
    """`job` for another attempt: from its checkpoint if it has one, otherwise from the start in the same MLflow run."""
    if any((job.folder / name).is_file() for name in (CHECKPOINT, PREVIOUS)):
        return replace(job, prepared=replace(job.prepared, resumed=job.folder))
    return replace(job, prepared=_adopt_begun_run(job.prepared))


def _adopt_begun_run(prepared: PreparedRun) -> PreparedRun:
    sweep_run = prepared.settings.sweep_run
    if sweep_run is None or prepared.store is None:
        return prepared
    try:
        begun = begun_runs(prepared.store, prepared.settings.tracking.experiment, sweep_run.sweep)
    except TrackingError:  # the store is down; the run is recorded later
        return prepared
    settings = replace(prepared.settings, sweep_run=replace(sweep_run, run_id=begun.get(sweep_run.number)))
    return replace(prepared, settings=settings)


def _estimate(prepared: PreparedRun, slowness: float) -> float:
    return estimate(prepared.settings, prepared.plan, prepared.data.info, slowness)


def _refused_return(overrides: Sequence[str], error: Exception) -> JobReturn:
    returned = JobReturn(overrides=list(overrides), working_dir=str(Path.cwd()), task_name="archsearch")
    returned.status, returned.return_value = JobStatus.FAILED, error
    return returned


def _job_return(job: Job, overrides: Sequence[str], outcomes: Mapping[int, AttemptEnd]) -> JobReturn:
    end = outcomes[job.number]
    returned = JobReturn(
        overrides=list(overrides),
        cfg=OmegaConf.create(job.prepared.request.config),
        working_dir=str(Path.cwd()),
        task_name="archsearch",
    )
    if end.result is None:
        returned.status, returned.return_value = JobStatus.FAILED, SweepError(end.reason or end.state)
    else:
        final = end.result["final"]
        returned.status = JobStatus.COMPLETED
        returned.return_value = final.get("val/accuracy", final.get("test/accuracy"))
    return returned
