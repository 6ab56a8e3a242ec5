"""One run: data -> network -> trainer -> record. The only place where these meet."""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch

from archsearch.data.load import Dataset, load
from archsearch.errors import ResumeError, TimeLimitError
from archsearch.runs.active_run import LiveRun, alone, storage_error
from archsearch.runs.console import EpochBars, data_banner, epoch_line
from archsearch.runs.folder import CHECKPOINT, Result
from archsearch.runs.prepare import Experiment
from archsearch.system.allocator import keep_freed_memory
from archsearch.tracking.recorder_process import RecorderAside
from archsearch.training.checkpoint import load_checkpoint
from archsearch.training.setup import make_trainer, memory_explained
from archsearch.training.trainer import Evaluation, Progress, Trainer, Watch, pick_device

log = logging.getLogger(__name__)

_load = lru_cache(maxsize=2)(load)  # for the next run of the same process


def run(
    experiment: Experiment,
    folder: Path,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
    aside: RecorderAside | None = None,
) -> Result:
    """Train `experiment` (or what is left of it) in `folder`, record it, and return its result.

    `watch` is shown the progress (a bar on the terminal unless given). `stop` is asked after each epoch whether to end
    here, as Ctrl-C would. `aside` records the run (`recorder_aside` has it); without one this process does. Raises
    `RunError`s and `UserError`s; whatever ends the run early, its state and its reason are on record, and its
    checkpoint is kept.
    """
    if experiment.data.fallback is not None:
        log.warning(data_banner(experiment.data.definition.title, experiment.data.fallback))
    try:
        with alone(folder):
            live, trainer = _open(experiment, folder, aside)
            with live.accounted_for():
                live.begin()
                _train(live, trainer, watch, stop)
                result = live.finish(_answers(trainer))
    except OSError as error:
        raise storage_error(error, folder) from error
    log.info(live.summary())
    return result


def enrich(experiment: Experiment, folder: Path) -> bool:
    """Add figures and model, as `experiment` wants them, to the record of a run that has finished in `folder`.

    Returns whether the tracking store has taken them.
    """
    with alone(folder):
        live, trainer = _open(experiment, folder)
        try:
            live.show(_answers(trainer))
        finally:
            live.recorder.finish("FINISHED")
        return bool(live.recorder.describe().get("complete", True))


def make_ready(experiment: Experiment) -> tuple[Dataset, torch.device]:
    """Set this process up for what `experiment` wants; its data and its device."""
    settings = experiment.settings
    keep_freed_memory()
    if settings.trainer.threads is not None:
        torch.set_num_threads(settings.trainer.threads)
    return _load(experiment.data.definition, Path(settings.data.root)), pick_device(settings.trainer.device)


def _open(experiment: Experiment, folder: Path, aside: RecorderAside | None = None) -> tuple[LiveRun, Trainer]:
    data, device = make_ready(experiment)
    checkpoint = load_checkpoint(folder / CHECKPOINT) if experiment.resumed is not None else None
    if checkpoint is not None and checkpoint.data_fingerprint != data.fingerprint:
        root = experiment.settings.data.root
        raise ResumeError(f"resume: {root} holds other data than the run was started with")
    with memory_explained():
        trainer = make_trainer(experiment, data, device)
    if checkpoint is not None:
        trainer.load_state_dict(checkpoint.trainer)
    return LiveRun(experiment, folder, data, device, trainer, checkpoint, aside=aside), trainer


def _train(live: LiveRun, trainer: Trainer, watch: Watch | None, stop: Callable[[], bool]) -> None:
    """Train the epochs that are left; after each, everything is on disk before it is on the screen."""
    log.info(live.opening())
    epochs = live.result.epochs
    with EpochBars() as bars, memory_explained():
        for metrics in trainer.run(_attended(live, watch or bars)):
            live.keep(metrics)
            log.info(epoch_line(metrics, epochs))
            if trainer.epoch < epochs and stop():
                raise KeyboardInterrupt


def _attended(live: LiveRun, watch: Watch) -> Watch:
    """`watch`, and an eye on the record that is being opened, and on the time limit of a sweep's variants."""
    settings = live.experiment.settings
    limit = settings.sweep.time_limit if settings.variant is not None else None
    deadline = time.monotonic() + limit if limit is not None else float("inf")

    def attended(progress: Progress) -> None:
        watch(progress)
        live.look()
        if time.monotonic() > deadline:
            raise TimeLimitError(f"took longer than sweep.time_limit ({limit:g} s), in epoch {progress.epoch}")

    return attended


def _answers(trainer: Trainer) -> Evaluation:
    """The network's answers on the test set."""
    with memory_explained():
        return trainer.evaluate(trainer.splits.test)
