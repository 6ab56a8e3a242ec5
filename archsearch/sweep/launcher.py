"""What Hydra calls to run a multirun's jobs on this machine: prepares them, and has a pool train them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from archsearch.config.settings import SweepSettings
from archsearch.data.load import choose
from archsearch.errors import SweepError, TrackingError
from archsearch.runs.folder import CHECKPOINT
from archsearch.runs.prepare import Experiment, prepare_variant
from archsearch.sweep.composer import Composer
from archsearch.sweep.display import Display
from archsearch.sweep.estimate import estimate
from archsearch.sweep.machine import cores, gpus_here, slots_here
from archsearch.sweep.pool import Pool
from archsearch.sweep.record import put_on_record
from archsearch.sweep.words import SUBDIR, subdir_of
from archsearch.sweep.worker import Ended, Job, Team
from archsearch.tracking.sweeps import begun_variants, end_variant
from archsearch.training.stacked.rules import why_not_stackable

LOG = "workers.log"


def launch(
    loader: ConfigLoader, master: DictConfig, jobs: Sequence[Sequence[str]], first_number: int
) -> list[JobReturn]:
    """Train each of `jobs` (its overrides), in processes of its own; returns what became of them, in order."""
    folder = Path(str(master.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    composer, choose_once = Composer(loader, master), cache(choose)
    prepared: list[Job] = []
    refused: dict[int, Exception] = {}  # by position
    for position, words in enumerate(jobs):
        number = first_number + position
        inside = folder / subdir_of(master, number, words)
        try:
            request = composer.request([word for word in words if not word.startswith(SUBDIR)], number)
            experiment = prepare_variant(request, inside, choose_once)
        except Exception as error:  # one that cannot even start is no reason not to train the others
            refused[position] = error
            continue
        variant = experiment.settings.variant
        prepared.append(Job(number if variant is None else variant.number, experiment, inside))
    outcomes = _train(prepared, folder, master) if prepared else {}
    trained = iter(prepared)
    return [
        _refused(words, refused[position]) if position in refused else _returned(next(trained), words, outcomes)
        for position, words in enumerate(jobs)
    ]


def _train(jobs: Sequence[Job], folder: Path, master: DictConfig) -> dict[int, Ended]:
    settings = jobs[0].experiment.settings.sweep
    on_cpu = all(job.experiment.settings.trainer.device == "cpu" for job in jobs)
    slots = slots_here(settings, 0 if on_cpu else gpus_here())
    own = {str(name): str(value) for name, value in master.hydra.job.env_set.items()}
    shares_gpu = any("CUDA_VISIBLE_DEVICES" in slot for slot in slots)
    weights = _weights(jobs)
    # The longest first, so that no worker is left alone with one at the end.
    teams = sorted(teams_of(jobs, settings), key=lambda team: -sum(weights[job.number] for job in team))
    with Display({job.number: job.experiment.request.name for job in jobs}, weights) as display:
        pool = Pool(
            [{**slot, **own} for slot in slots],
            settings,
            folder / LOG,
            _Registrar(display),
            _renewed,
            threads=max(1, cores() // len(slots)) if shares_gpu else 1,
        )
        return pool.run(teams)


def teams_of(jobs: Sequence[Job], settings: SweepSettings) -> list[Team]:
    """What is trained together: `sweep.stack` jobs at most as one network, where they can be and none has begun.

    A time limit is for one variant, so with one each is trained alone.
    """
    teams: list[list[Job]] = []
    size = settings.stack if settings.time_limit is None else 1
    for job in jobs:
        team = None
        if size > 1 and job.experiment.resumed is None:
            open_teams = (each for each in teams if len(each) < size and each[0].experiment.resumed is None)
            candidates = (each for each in open_teams if _stackable(each[0].experiment, job.experiment))
            team = next(candidates, None)
        if team is None:
            teams.append([job])
        else:
            team.append(job)
    return [tuple(team) for team in teams]


def _stackable(one: Experiment, other: Experiment) -> bool:
    return why_not_stackable([one, other]) is None


class _Registrar:
    """A pool's watcher that puts on record what a dead process could not, and tells `display` everything."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.started, self.progress = display.started, display.progress
        self.stopping, self.tick = display.stopping, display.tick

    def ended(self, job: Job, ended: Ended, retried: bool) -> None:
        """Tell the run's folder and MLflow, if the run itself could not, then the display."""
        if ended.state == "FAILED":
            run_id = put_on_record(job.folder, ended.reason or "")
            experiment = job.experiment
            if run_id is not None and experiment.store is not None:
                end_variant(experiment.store, experiment.settings.tracking.experiment, run_id, ended.reason or "")
        self.display.ended(job, ended, retried)


def _renewed(job: Job) -> Job:
    """`job` for another attempt: from its checkpoint, or else at least in the run that it has begun in MLflow."""
    experiment = job.experiment
    if (job.folder / CHECKPOINT).is_file():
        return replace(job, experiment=replace(experiment, resumed=job.folder))
    return replace(job, experiment=_adopting(experiment))


def _adopting(experiment: Experiment) -> Experiment:
    variant = experiment.settings.variant
    if variant is None or experiment.store is None:
        return experiment
    try:
        begun = begun_variants(experiment.store, experiment.settings.tracking.experiment, variant.sweep)
    except TrackingError:  # it is away; then this one is recorded later
        return experiment
    settings = replace(experiment.settings, variant=replace(variant, run_id=begun.get(variant.number)))
    return replace(experiment, settings=settings)


def _weights(jobs: Sequence[Job]) -> dict[int, float]:
    return {
        job.number: estimate(job.experiment.settings, job.experiment.plan, job.experiment.data.definition)
        for job in jobs
    }


def _refused(words: Sequence[str], error: Exception) -> JobReturn:
    returned = JobReturn(overrides=list(words), working_dir=str(Path.cwd()), task_name="archsearch")
    returned.status, returned.return_value = JobStatus.FAILED, error
    return returned


def _returned(job: Job, words: Sequence[str], outcomes: Mapping[int, Ended]) -> JobReturn:
    ended = outcomes[job.number]
    returned = JobReturn(
        overrides=list(words),
        cfg=OmegaConf.create(job.experiment.request.config),
        working_dir=str(Path.cwd()),
        task_name="archsearch",
    )
    if ended.result is None:
        returned.status, returned.return_value = JobStatus.FAILED, SweepError(ended.reason or ended.state)
    else:
        final = ended.result["final"]
        returned.status = JobStatus.COMPLETED
        returned.return_value = final.get("val/accuracy", final.get("test/accuracy"))
    return returned
