"""One run: data -> network -> trainer -> record. The only place where these meet."""

import copy
import errno
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import torch
import yaml
from filelock import FileLock, Timeout

from archsearch import runs
from archsearch.allocator import keep_freed_memory
from archsearch.artifacts import draw_figures, write_predictions
from archsearch.assembly import make_trainer, memory_explained
from archsearch.atomic import write_text
from archsearch.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from archsearch.columns import final_numbers
from archsearch.data.load import load
from archsearch.errors import ArchsearchError, ResumeError, StorageError, TimeLimitError, TrackingError
from archsearch.prepare import Experiment
from archsearch.provenance import hardware
from archsearch.recording import Recording
from archsearch.runs import Result, State
from archsearch.screen import EpochBars, closing_summary, data_banner, epoch_line, in_a_line
from archsearch.summary import layer_table
from archsearch.tracking.recorder import AbsentRecorder, Recorder
from archsearch.trainer import Evaluation, Progress, Watch, pick_device

log = logging.getLogger(__name__)

_load = lru_cache(maxsize=2)(load)  # for the next run of the same process
_EXAMPLES = 2  # images in a model's input example; torch.export specialises on a batch of 1


def run(
    experiment: Experiment,
    folder: Path,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Train `experiment` (or what is left of it) in `folder`, record it, and return its result.

    `watch` is shown the progress (a bar on the terminal unless given). `stop` is asked after each epoch whether to end
    here, as Ctrl-C would. Raises `RunError`s and `UserError`s; whatever ends the run early, its state and its reason
    are on record, and its checkpoint is kept.
    """
    if experiment.data.fallback is not None:
        log.warning(data_banner(experiment.data.definition.title, experiment.data.fallback))
    try:
        with _alone(folder), closing(_Run(experiment, folder)) as live, live.accounted_for():
            live.begin()
            live.train(watch, stop)
            live.finish()
    except OSError as error:
        raise _storage_error(error, folder) from error
    log.info(closing_summary(live.result, folder, live.hardware, experiment.settings.ui.port))
    return live.result


def enrich(experiment: Experiment, folder: Path) -> bool:
    """Add figures and model, as `experiment` wants them, to the record of a run that has finished in `folder`.

    Returns whether the tracking store has taken them.
    """
    with _alone(folder), closing(_Run(experiment, folder)) as live:
        try:
            live.show(live.evaluate())
        finally:
            live.recorder.finish("FINISHED")
        return bool(live.recorder.describe().get("complete", True))


class _Run:
    """A run that has started: what it computes with, and where its numbers go."""

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        settings = experiment.settings
        self.experiment, self.folder = experiment, folder
        keep_freed_memory()
        if settings.trainer.threads is not None:
            torch.set_num_threads(settings.trainer.threads)
        self.device = pick_device(settings.trainer.device)
        self.hardware = hardware(str(self.device))
        self.data = _load(experiment.data.definition, Path(settings.data.root))
        self.fingerprint = self.data.fingerprint
        checkpoint = load_checkpoint(folder / runs.CHECKPOINT) if experiment.resumed is not None else None
        if checkpoint is not None and checkpoint.data_fingerprint != self.fingerprint:
            raise ResumeError(f"resume: {settings.data.root} holds other data than the run was started with")
        with memory_explained():
            self.trainer = make_trainer(experiment, self.data, self.device)
        if checkpoint is not None:
            self.trainer.load_state_dict(checkpoint.trainer)
        self.result = self._first_result(checkpoint)
        begun = self.result.run_id if checkpoint is not None else None
        self._recording = Recording(experiment, folder, self.fingerprint, str(self.device), begun)
        self._on_record = False

    @property
    def recorder(self) -> Recorder:
        """The run's record, waited for. Raises `TrackingError` where the store refuses the run."""
        return self._recording.recorder

    def begin(self) -> None:
        """Write what must be there before training starts, so that the run can be continued from its first moment."""
        write_text(self.folder / runs.CONFIG, yaml.safe_dump(self.experiment.request.config, sort_keys=False))
        write_text(self.folder / runs.LAYERS, layer_table(self.experiment.plan) + "\n")
        self._save()
        if self.experiment.settings.variant is not None:  # what a worker that dies leaves is to be known by its id
            self._be_on_record()

    def train(self, watch: Watch | None, stop: Callable[[], bool]) -> None:
        """Train the epochs that are left; after each, everything is on disk before it is on the screen."""
        log.info(self._opening())
        with EpochBars() as bars, memory_explained():
            for metrics in self.trainer.run(self._attended(watch or bars)):
                self._be_on_record()
                self.result.history.append(metrics)
                self._save()
                self.recorder.metrics(metrics.numbers(), metrics.epoch, metrics.timestamp)
                log.info(epoch_line(metrics, self.result.epochs))
                if self.trainer.epoch < self.result.epochs and stop():
                    raise KeyboardInterrupt

    def finish(self) -> None:
        """Evaluate the test set, once, and leave everything that is kept of a finished run."""
        self._be_on_record()
        self._recording.settle()
        evaluation = self.evaluate()
        self.result.test = evaluation.score
        self.result.write(self.folder)
        last = self.result.history[-1]
        self.recorder.metrics(final_numbers(self.result), last.epoch, last.timestamp)
        self.recorder.describe_run(in_a_line(self.result))
        predictions = write_predictions(self.folder, evaluation)
        self.recorder.artifacts([self.folder / runs.CONFIG, self.folder / runs.LAYERS, predictions])
        self.show(evaluation)
        self._end("FINISHED")

    def evaluate(self) -> Evaluation:
        """The network's answers on the test set."""
        with memory_explained():
            return self.trainer.evaluate(self.trainer.splits.test)

    def show(self, evaluation: Evaluation) -> None:
        """Draw the figures and keep the model, where they are wanted."""
        figures, model = self.experiment.record
        if figures:
            self.recorder.artifacts(
                draw_figures(self.folder, self.result.name, self.result.history, evaluation, self.data)
            )
        if model:
            example = next(self.trainer.splits.test.in_order(_EXAMPLES))[0].cpu().numpy()
            self.recorder.model(copy.deepcopy(self.trainer.trained).cpu(), example)

    @contextmanager
    def accounted_for(self) -> Iterator[None]:
        """Whatever ends the run, put its state and reason on record."""
        try:
            yield
        except KeyboardInterrupt:
            self._end_if_possible("KILLED", "interrupted")
            kept = f"{len(self.result.history)} of {self.result.epochs} epochs are kept"
            argument = runs.resume_argument(self.result, self.folder)
            log.warning("\ninterrupted; %s. Continue with: python -m archsearch %s", kept, argument)
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, ArchsearchError) else f"{type(error).__name__}: {error}"
            self._end_if_possible("FAILED", reason)
            raise

    def close(self) -> None:
        """Leave nothing running."""
        self._recording.close()

    def _attended(self, watch: Watch) -> Watch:
        """`watch`, and an eye on the record that is being opened, and on the time limit of a sweep's variants."""
        limit = self.experiment.settings.sweep.time_limit if self.experiment.settings.variant is not None else None
        deadline = time.monotonic() + limit if limit is not None else float("inf")

        def attended(progress: Progress) -> None:
            watch(progress)
            if self._recording.ready:
                self._be_on_record()
            if time.monotonic() > deadline:
                raise TimeLimitError(f"took longer than sweep.time_limit ({limit:g} s), in epoch {progress.epoch}")

        return attended

    def _be_on_record(self) -> None:
        """Once the tracking store has the run: keep the id that it gave it, and send what it may not have."""
        if self._on_record:
            return
        recorder, self._on_record = self.recorder, True
        self.result.run_id = recorder.run_id or self.result.run_id
        self.result.tracking = recorder.describe()
        self.result.write(self.folder)
        for metrics in self.result.history:  # what the store already has, it recognises
            recorder.metrics(metrics.numbers(), metrics.epoch, metrics.timestamp)

    def _first_result(self, checkpoint: Checkpoint | None) -> Result:
        experiment, data = self.experiment, self.experiment.data
        before = (runs.read_result(self.folder) or {}) if checkpoint is not None else {}
        unrecorded = Recorder() if experiment.store is None else AbsentRecorder(experiment.store, None)
        return Result(
            run_id=before.get("run_id") or uuid.uuid4().hex,  # until MLflow gives it one
            name=experiment.request.name,
            state="RUNNING",
            seed=experiment.settings.seed,
            params=experiment.plan.params,
            macs=experiment.plan.macs,
            receptive_field=experiment.plan.receptive_field,
            epochs=experiment.settings.trainer.epochs,
            choices=dict(experiment.request.choices),
            overrides=list(experiment.request.overrides),
            variant=experiment.request.config.get("variant"),
            data={"name": data.definition.name, "fingerprint": self.fingerprint, "fallback": data.fallback},
            tracking=unrecorded.describe(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            history=list(checkpoint.history) if checkpoint is not None else [],
        )

    def _opening(self) -> str:
        done = f", continuing after epoch {self.trainer.epoch}" if self.trainer.epoch else ""
        splits = self.trainer.splits
        held_out = f", {len(splits.validation):,} held out" if splits.validation is not None else ""
        return (
            f"{self.result.name}: {self.result.params:,} parameters on {self.data.definition.title}"
            f" ({len(splits.train):,} images{held_out}), {self.result.epochs} epochs on {self.hardware}{done}"
        )

    def _save(self) -> None:
        checkpoint = Checkpoint(
            self.experiment.request.config,
            self.fingerprint,
            self.result.history,
            self.trainer.state_dict(),
        )
        save_checkpoint(self.folder / runs.CHECKPOINT, checkpoint)
        self.result.write(self.folder)

    def _end(self, state: State, reason: str | None = None) -> None:
        """Say how the run ended: in its folder first, because a tracking store can take its time."""
        self.result.state, self.result.reason = state, reason
        if self.result.tracking.get("uri") is not None:
            self.result.tracking = {**self.result.tracking, "complete": False}  # until the store has it
        self.result.write(self.folder)
        try:
            with suppress(TrackingError):  # it is told already, where it is the reason
                self._be_on_record()
            self.recorder.finish(state, reason)
        except KeyboardInterrupt:
            if state != "FINISHED":
                raise
            log.warning("no longer waiting for the tracking store")
        finally:
            if self._recording.ready:
                self.result.tracking = self.recorder.describe()
            self.result.write(self.folder)

    def _end_if_possible(self, state: State, reason: str) -> None:
        try:
            self._end(state, reason)
        except OSError as error:
            log.warning("the run's state could not be written: %s", _storage_error(error, self.folder))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep two processes from continuing the same run."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise ResumeError(f"resume: another process is training the run in {folder}") from None


def _storage_error(error: OSError, folder: Path) -> StorageError:
    what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return StorageError(f"cannot write to {error.filename or folder}: {what}; hydra.run.dir=... puts a run elsewhere")
