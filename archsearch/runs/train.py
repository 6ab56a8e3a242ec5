"""Trains one run: data, network, trainer and record come together here."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from archsearch.data.load import Dataset, load
from archsearch.errors import ResumeError, TimeLimitError, first_line
from archsearch.runs.active_run import ActiveRun
from archsearch.runs.console import EpochBars, data_banner, epoch_line, shorter_epoch_lines
from archsearch.runs.folder import CHECKPOINT, CONFIG, PREVIOUS
from archsearch.runs.prepare import PreparedRun
from archsearch.runs.result import Result
from archsearch.runs.storage import run_lock, storage_error
from archsearch.system.memory import fits_in_memory, note_memory, readable_size
from archsearch.system.process import keep_freed_memory
from archsearch.system.screen import doing
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.training.checkpoint import Checkpoint, load_checkpoint, newest_readable
from archsearch.training.device import pick_device
from archsearch.training.setup import make_trainer, memory_explained
from archsearch.training.trainer import EpochProgress, Evaluation, Trainer, Watch

log = logging.getLogger(__name__)

_load = lru_cache(maxsize=2)(load)  # reused by later runs of the same process


def train_run(
    prepared: PreparedRun,
    folder: Path,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
    recorder_process: RecorderProcess | None = None,
    until: int | None = None,
) -> Result:
    """Train `prepared`, or its remaining epochs, in `folder`. Records the run and returns its result.

    A run that is not fully trained after the epoch `until` stops there, to go on from its checkpoint or not at all.

    `watch` receives the progress; the default shows a progress bar. `stop` is called after each epoch but the last; if
    it returns True, the run is interrupted as by Ctrl-C. `recorder_process` records the run; without one, this process
    does. Raises subclasses of `RunError` and `UserError`. If the run ends early, its state and the reason are recorded
    and its checkpoint is kept.
    """
    if prepared.data.fallback is not None:
        log.warning(data_banner(prepared.data.info.title, prepared.data.fallback))
    try:
        with run_lock(folder):
            with doing("building the network"):
                active_run, trainer = _open(prepared, folder, recorder_process)
            with active_run.failures_recorded():
                with doing("building the network"):
                    active_run.begin()
                _train(active_run, trainer, watch, stop, until)
                result = _finish(active_run, trainer)
    except OSError as error:
        raise storage_error(error, folder) from error
    log.info(active_run.summary())
    return result


def enrich(prepared: PreparedRun, folder: Path) -> bool:
    """Add model and figures, as `prepared` asks for them, to the record of the finished run in `folder`.

    Returns whether the tracking store has stored them.
    """
    with run_lock(folder):
        active_run, trainer = _open(prepared, folder, complete=True)
        try:
            active_run.log_model_and_figures(_evaluate(trainer))
        finally:
            active_run.recorder.finish("FINISHED")
        return bool(active_run.recorder.describe().get("complete", True))


def set_up(prepared: PreparedRun) -> tuple[Dataset, torch.device]:
    """Configure this process for `prepared`. Returns its data and its device."""
    settings = prepared.settings
    keep_freed_memory()
    if settings.trainer.threads is not None:
        torch.set_num_threads(settings.trainer.threads)
    # The workers of a sweep share the files. A single run reads them: truncating a mapped file would end the process.
    info = prepared.data.info
    fits = info.cache is None or fits_in_memory(info.bytes)
    if fits:
        note_memory(info.bytes, f"reading {info.title}")
    else:
        log.info("%s does not fit into memory (%s): it is read from the cache", info.title, readable_size(info.bytes))
    mapped = settings.sweep_run is not None or not fits
    return _load(info, Path(settings.data.root), mapped=mapped), pick_device(settings.trainer.device)


def _open(
    prepared: PreparedRun, folder: Path, recorder_process: RecorderProcess | None = None, *, complete: bool = False
) -> tuple[ActiveRun, Trainer]:
    """The run in `folder` and its trainer. If it is `complete`, only its last checkpoint will do."""
    with doing("reading the data"):
        data, device = set_up(prepared)
    checkpoint = None
    if prepared.resumed is not None:
        checkpoint = load_checkpoint(folder / CHECKPOINT) if complete else _newest_checkpoint(folder)
    if checkpoint is not None and checkpoint.data_fingerprint != data.fingerprint:
        root = prepared.settings.data.root
        raise ResumeError(f"resume: the data in data.root={root} differ from those that the run started with")
    settings = prepared.settings
    if complete:  # it is only evaluated: do not compile what trains it
        settings = replace(settings, trainer=replace(settings.trainer, fused=False))
    with memory_explained():
        trainer = make_trainer(settings, prepared.plan, data, device, network=prepared.network)
    if checkpoint is not None:
        try:
            trainer.load_state_dict(checkpoint.trainer)
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            problem = f"the checkpoint in {folder} does not fit the run's {CONFIG}: {first_line(error)}"
            raise ResumeError(f"resume: {problem}; restore both, or start a new run") from error
    return ActiveRun(prepared, folder, data, device, trainer, checkpoint, recorder_process=recorder_process), trainer


def _newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint to continue from: the last one that can be read, or None to begin again."""
    checkpoint, problems = newest_readable([folder / CHECKPOINT, folder / PREVIOUS])
    if problems:
        step = "begins again" if checkpoint is None else f"goes on after epoch {len(checkpoint.history)}"
        log.warning("WARNING: the run in %s %s: %s", folder, step, ", ".join(problems))
    return checkpoint


def _train(
    active_run: ActiveRun, trainer: Trainer, watch: Watch | None, stop: Callable[[], bool], until: int | None
) -> None:
    """Train the remaining epochs, or those up to `until`. Each is saved before it is shown."""
    log.info(active_run.opening())
    epochs = active_run.result.epochs
    if until is not None and trainer.epoch >= until:  # it ended after the checkpoint, before it was recorded
        return
    with EpochBars() as bars, memory_explained():
        for metrics in trainer.run(_supervised(active_run, watch or bars)):
            active_run.log_epoch(metrics)
            log.info("%s", epoch_line(metrics, epochs), extra={"shorter": shorter_epoch_lines(metrics, epochs)})
            if trainer.epoch < epochs and stop():  # also where it would stop by itself
                raise KeyboardInterrupt
            if until is not None and trainer.epoch >= until:
                return


def _finish(active_run: ActiveRun, trainer: Trainer) -> Result:
    """End the run after its last epoch, or where it stops before that."""
    if trainer.epoch < active_run.result.epochs:
        return active_run.stop()
    sweep_run = active_run.prepared.settings.sweep_run
    leaves_test = sweep_run is not None and sweep_run.trial
    return active_run.finish(None if leaves_test else _evaluate(trainer))


def _supervised(active_run: ActiveRun, watch: Watch) -> Watch:
    """`watch` that also opens the record when it is ready, and enforces `sweep.time_limit`."""
    settings = active_run.prepared.settings
    limit = settings.sweep.time_limit if settings.sweep_run is not None else None
    deadline = time.monotonic() + limit if limit is not None else float("inf")

    def supervised(progress: EpochProgress) -> None:
        watch(progress)
        active_run.open_record_if_ready()
        if time.monotonic() > deadline:
            raise TimeLimitError(f"took longer than sweep.time_limit ({limit:g} s), in epoch {progress.epoch}")

    return supervised


def _evaluate(trainer: Trainer) -> Evaluation:
    """Evaluate the network on the test set."""
    with doing("evaluating the test set"), memory_explained():
        return trainer.evaluate(trainer.splits.test)
