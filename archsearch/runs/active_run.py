"""A run that has started: its folder, its record, and what is kept of it after each epoch and at its end."""

import copy
import errno
import logging
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml

from archsearch.data.load import Dataset
from archsearch.errors import ArchsearchError, StorageError, TrackingError
from archsearch.model.table import layer_table
from archsearch.runs.artifacts import draw_figures, write_predictions
from archsearch.runs.console import closing_summary, in_a_line
from archsearch.runs.folder import CHECKPOINT, CONFIG, LAYERS, resume_argument
from archsearch.runs.prepare import PreparedRun
from archsearch.runs.recording import Recording, final_metrics
from archsearch.runs.result import Result, State, read_result
from archsearch.system.atomic import write_text
from archsearch.system.locks import exclusive_lock
from archsearch.tracking.recorder import AbsentRecorder, Recorder
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.training.checkpoint import Checkpoint, save_checkpoint
from archsearch.training.device import device_name
from archsearch.training.metrics import EpochMetrics
from archsearch.training.trainer import Evaluation, Splits

log = logging.getLogger(__name__)

_EXAMPLES = 2  # images in a model's input example; torch.export specialises on a batch of 1


class RunTrainer(Protocol):
    """What a run asks of what trains it: a `Trainer`, or a member of a stack."""

    @property
    def epoch(self) -> int:
        """Epochs trained so far."""

    @property
    def splits(self) -> Splits:
        """The images."""

    @property
    def trained(self) -> torch.nn.Module:
        """The network to be used."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""


class ActiveRun:
    """The run of `prepared` in `folder`, by itself or as one of `stack` networks that are trained as one.

    It continues from `checkpoint`, whose state `trainer` must already have. `recorder_process` records it, or else this
    process does.
    """

    def __init__(
        self,
        prepared: PreparedRun,
        folder: Path,
        data: Dataset,
        device: torch.device,
        trainer: RunTrainer,
        checkpoint: Checkpoint | None = None,
        stack: int | None = None,
        recorder_process: RecorderProcess | None = None,
    ) -> None:
        self.prepared, self.folder, self.trainer = prepared, folder, trainer
        self.data = data
        self.hardware = device_name(device)
        self.result = self._first_result(checkpoint, stack)
        begun = self.result.run_id if checkpoint is not None else None
        self._recording = Recording(prepared, folder, data.fingerprint, self.hardware, begun, recorder_process)
        self._on_record = False

    @property
    def recorder(self) -> Recorder:
        """The run's record, waited for. Raises `TrackingError` where the store refuses the run."""
        return self._recording.recorder

    def begin(self) -> None:
        """Write what must be there before training starts, so that the run can be continued from its first moment."""
        write_text(self.folder / CONFIG, yaml.safe_dump(self.prepared.request.config, sort_keys=False))
        write_text(self.folder / LAYERS, layer_table(self.prepared.plan) + "\n")
        self._save()
        self.look()

    def look(self) -> None:
        """For now and then while an epoch is trained. Raises `TrackingError` where the store refuses the run."""
        if self._recording.ready:
            self._be_on_record()

    def keep(self, metrics: EpochMetrics) -> None:
        """Put an epoch on disk, and on record as soon as the store has the run."""
        self.look()
        self.result.history.append(metrics)
        self._save()
        if self._on_record:
            self.recorder.metrics(metrics.numbers(), metrics.epoch, metrics.timestamp)

    def finish(self, evaluation: Evaluation) -> Result:
        """Leave everything that is kept of a finished run, with its answers on the test set."""
        self.result.test = evaluation.score
        self.result.write(self.folder)
        self._be_on_record()
        last = self.result.history[-1]
        self.recorder.metrics(final_metrics(self.result), last.epoch, last.timestamp)
        self.recorder.describe_run(in_a_line(self.result))
        predictions = write_predictions(self.folder, evaluation)
        self.recorder.artifacts([self.folder / CONFIG, self.folder / LAYERS, predictions])
        self.show(evaluation)
        self._end("FINISHED")
        return self.result

    def show(self, evaluation: Evaluation) -> None:
        """Draw the figures and keep the model, where they are wanted."""
        if self.prepared.log_model:  # first, as another process may do this
            example = next(self.trainer.splits.test.in_order(_EXAMPLES))[0].cpu().numpy()
            self.recorder.model(copy.deepcopy(self.trainer.trained).cpu(), example)
        if self.prepared.log_figures:
            self.recorder.artifacts(
                draw_figures(self.folder, self.result.name, self.result.history, evaluation, self.data)
            )

    @contextmanager
    def accounted_for(self) -> Iterator[None]:
        """Whatever ends the run, put its state and reason on record."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupt()
            raise
        except Exception as error:
            self.fail(error)
            raise

    def interrupt(self) -> None:
        """Put on record that somebody ended the run, and say how it goes on."""
        self._end_if_possible("KILLED", "interrupted")
        kept = f"{len(self.result.history)} of {self.result.epochs} epochs are kept"
        argument = resume_argument(self.result, self.folder)
        log.warning("\ninterrupted; %s. Continue with: python -m archsearch %s", kept, argument)

    def fail(self, error: Exception) -> None:
        """Put on record that `error` ended the run."""
        reason = str(error) if isinstance(error, ArchsearchError) else f"{type(error).__name__}: {error}"
        self._end_if_possible("FAILED", reason)

    def opening(self) -> str:
        """What is about to be trained, in a line."""
        done = f", continuing after epoch {self.trainer.epoch}" if self.trainer.epoch else ""
        splits = self.trainer.splits
        held_out = f", {len(splits.validation):,} held out" if splits.validation is not None else ""
        return (
            f"{self.result.name}: {self.result.params:,} parameters on {self.data.info.title}"
            f" ({len(splits.train):,} images{held_out}), {self.result.epochs} epochs on {self.hardware}{done}"
        )

    def summary(self) -> str:
        """What a finished run shows."""
        return closing_summary(self.result, self.folder, self.hardware, self.prepared.settings.ui.port)

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

    def _first_result(self, checkpoint: Checkpoint | None, stack: int | None) -> Result:
        prepared, data = self.prepared, self.prepared.data
        before = (read_result(self.folder) or {}) if checkpoint is not None else {}
        unrecorded = Recorder() if prepared.store is None else AbsentRecorder(prepared.store, None)
        return Result(
            run_id=before.get("run_id") or uuid.uuid4().hex,  # until MLflow gives it one
            name=prepared.request.name,
            state="RUNNING",
            seed=prepared.settings.seed,
            params=prepared.plan.params,
            macs=prepared.plan.macs,
            receptive_field=prepared.plan.receptive_field,
            epochs=prepared.settings.trainer.epochs,
            choices=dict(prepared.request.choices),
            overrides=list(prepared.request.overrides),
            sweep_run=prepared.request.config.get("sweep_run"),
            data={
                "name": data.info.name,
                "fingerprint": self.data.fingerprint,
                "fallback": data.fallback,
            },
            tracking=unrecorded.describe(),
            stack=stack or before.get("stack"),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            history=list(checkpoint.history) if checkpoint is not None else [],
        )

    def _save(self) -> None:
        checkpoint = Checkpoint(
            self.prepared.request.config,
            self.data.fingerprint,
            self.result.history,
            self.trainer.state_dict(),
        )
        save_checkpoint(self.folder / CHECKPOINT, checkpoint)
        self.result.write(self.folder)

    def _end(self, state: State, reason: str | None = None) -> None:
        """Say how the run ended: in its folder first, because a tracking store can take its time."""
        self.result.state, self.result.reason = state, reason
        if self.result.tracking.get("uri") is not None:
            self.result.tracking = {**self.result.tracking, "complete": False}  # until the store has it
        self.result.write(self.folder)
        try:
            with suppress(Exception):  # it is told already, where it is the reason, or comes too late to matter
                self._be_on_record()
            self.recorder.finish(state, reason)
        except KeyboardInterrupt:
            if state != "FINISHED":
                raise
            log.warning("no longer waiting for the tracking store")
        finally:
            with suppress(TrackingError):
                if self._recording.ready:
                    self.result.tracking = self.recorder.describe()
            self.result.write(self.folder)

    def _end_if_possible(self, state: State, reason: str) -> None:
        try:
            self._end(state, reason)
        except OSError as error:
            log.warning("the run's state could not be written: %s", storage_error(error, self.folder))


def run_lock(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from continuing the run in `folder` at the same time."""
    return exclusive_lock(folder, f"resume: another process is training the run in {folder}")


def storage_error(error: OSError, folder: Path) -> StorageError:
    """What went wrong when something was written into `folder`, and what to do."""
    what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return StorageError(f"cannot write to {error.filename or folder}: {what}; hydra.run.dir=... puts a run elsewhere")
