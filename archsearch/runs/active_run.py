"""A run while it trains: its folder, checkpoint and record, updated after every epoch and at the end."""

import copy
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch

from archsearch.data.load import Dataset
from archsearch.errors import ArchsearchError, TrackingError, first_line
from archsearch.model.classifier import as_images
from archsearch.runs.artifacts import draw_augmentation, draw_figures, write_config_and_layers, write_predictions
from archsearch.runs.console import (
    closing_summary,
    imbalance_line,
    interruption_message,
    one_line_summary,
    opening_line,
)
from archsearch.runs.data_file import write_dataset
from archsearch.runs.folder import (
    CHECKPOINT,
    CONFIG,
    DATASET,
    LAYERS,
    NETWORK,
    PREVIOUS,
    WRITTEN_AT_THE_END,
    note_begun,
)
from archsearch.runs.model_files import model_files
from archsearch.runs.prepare import PreparedRun
from archsearch.runs.recording import Recording, final_metrics, unrecorded
from archsearch.runs.result import Result, State, read_result
from archsearch.runs.storage import storage_error
from archsearch.system.screen import doing
from archsearch.tracking.recorder import Recorder
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.training.checkpoint import Checkpoint, save_checkpoint
from archsearch.training.device import device_name
from archsearch.training.metrics import EpochMetrics
from archsearch.training.restored import classifier_of
from archsearch.training.trainer import Evaluation, Splits

log = logging.getLogger(__name__)

_EXAMPLES = [0, -1]  # test images in a model's input example; two, as torch.export specialises on a batch of 1


class RunTrainer(Protocol):
    """What a run needs of its trainer, which is a `Trainer` or one member of a stack."""

    @property
    def epoch(self) -> int:
        """The number of epochs trained so far."""

    @property
    def splits(self) -> Splits:
        """The images to train, select and test on."""

    @property
    def trained(self) -> torch.nn.Module:
        """The network to use after training."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""


class ActiveRun:
    """The run of `prepared` in `folder`.

    It continues from `checkpoint`, whose state `trainer` must already have; a run that is resumed without one begins
    again under the same id. `stack` is the number of networks that are trained as one, if there are several.
    `recorder_process` records the run; without one, this process does.
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
        self.prepared, self.folder, self.trainer, self.data = prepared, folder, trainer, data
        self.hardware = device_name(device)
        self.result = self._initial_result(checkpoint, stack)
        run_id = self.result.run_id if prepared.resumed is not None else None
        self._recording = Recording(prepared, folder, data.fingerprint, self.hardware, run_id, recorder_process)
        self._record_open = False
        self._saved = False  # by this object

    @property
    def recorder(self) -> Recorder:
        """The run's recorder; waits until it is open. Raises `TrackingError` if the store refuses the run."""
        return self._recording.recorder

    def begin(self) -> None:
        """Write configuration, layer table, drawing and checkpoint, so that the run can be resumed from the start."""
        if self.prepared.resumed is None:
            for name in (CHECKPOINT, PREVIOUS, *WRITTEN_AT_THE_END):  # of a run that it replaces
                (self.folder / name).unlink(missing_ok=True)
        request, plan = self.prepared.request, self.prepared.plan
        write_config_and_layers(self.folder, request.name, request.config, plan)
        write_dataset(self.folder, self.data.info)
        self._save()
        note_begun(self.folder)
        self.open_record_if_ready()

    def open_record_if_ready(self) -> None:
        """Open the record if that does not block. Raises `TrackingError` if the store refuses the run."""
        if self._recording.ready:
            self._open_record()

    def log_epoch(self, metrics: EpochMetrics) -> None:
        """Save a trained epoch, and record it if the record is open."""
        self.open_record_if_ready()
        self.result.history.append(metrics)
        self._save()
        if self._record_open:
            self.recorder.log_metrics(metrics.numbers(), metrics.epoch, metrics.timestamp)

    def finish(self, evaluation: Evaluation | None) -> Result:
        """Save and record the results of a run that is fully trained.

        `evaluation` is that of the test set. Without one, there are no predictions, no figures and no model.
        """
        self.result.test = None if evaluation is None else evaluation.score
        self.result.write(self.folder)
        self._open_record()
        last = self.result.history[-1]
        self.recorder.log_results(final_metrics(self.result), last.epoch, last.timestamp)
        self.recorder.set_description(one_line_summary(self.result))
        files = [self.folder / name for name in (CONFIG, LAYERS, NETWORK)]
        if self.data.info.content is not None:
            files.append(self.folder / DATASET)
        if evaluation is None:
            self.recorder.log_artifacts(files)
        else:
            self.recorder.log_artifacts([*files, write_predictions(self.folder, evaluation)])
            self.log_model_and_figures(evaluation)
        self._end("FINISHED")
        (self.folder / PREVIOUS).unlink(missing_ok=True)  # training never continues before the last epoch again
        return self.result

    def log_model_and_figures(self, evaluation: Evaluation) -> None:
        """Record the model and draw the figures, as far as the settings ask for them."""
        if self.prepared.log_model and self.prepared.store is not None:
            with doing("recording the model"):  # before the figures: a recorder process does it while this one draws
                self._log_model()
        if self.prepared.log_figures:
            with doing("drawing figures"):
                figures = draw_figures(self.folder, self.result.name, self.result.history, evaluation, self.data)
                figures += draw_augmentation(self.folder, self.prepared.settings, self.trainer.splits.train)
            self.recorder.log_artifacts(figures)

    def _log_model(self) -> None:
        classifier = classifier_of(copy.deepcopy(self.trainer.trained).cpu(), self.data.info)
        example = as_images(torch.tensor(self.data.test_images[_EXAMPLES]))
        model, name = self.prepared.request.choices["model"], self.result.name
        try:
            files = model_files(classifier, self.prepared.plan, self.data.info, model, name, example)
        except Exception as error:  # of layers of a person's own; not a gap in the record, for resuming to fill
            log.warning("MLflow gets no model: torch.export cannot export %s: %s", name, first_line(error))
        else:
            self.recorder.log_model(files)

    def stop(self) -> Result:
        """Record that the run stops here, before its last epoch. It can go on from its checkpoint."""
        self._open_record()
        last = self.result.history[-1]
        self.recorder.log_results(final_metrics(self.result), last.epoch, last.timestamp)
        self.recorder.set_description(one_line_summary(self.result))
        self._end("STOPPED", f"stopped after epoch {len(self.result.history)} of {self.result.epochs}")
        return self.result

    @contextmanager
    def failures_recorded(self) -> Iterator[None]:
        """Record the state and the reason of a run that an exception ends."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupt()
            raise
        except Exception as error:
            self.fail(error)
            raise

    def interrupt(self) -> None:
        """Record that the run was interrupted, and log how to resume it."""
        self._end_if_possible("KILLED", "interrupted")
        message = interruption_message(self.result, self.folder)
        # On a narrow terminal, the command stands on a line of its own, so that it can be copied.
        log.warning("%s", message, extra={"shorter": [message.replace("with: ", "with:\n  ")]})

    def fail(self, error: Exception) -> None:
        """Record that `error` ended the run."""
        reason = str(error) if isinstance(error, ArchsearchError) else f"{type(error).__name__}: {error}"
        self._end_if_possible("FAILED", reason)

    def opening(self) -> str:
        """The line that the console shows before training."""
        trainer = self.trainer
        line = opening_line(self.result, self.data.info.title, trainer.splits, trainer.epoch, self.hardware)
        imbalance = imbalance_line(self.data.info.classes, trainer.splits.train.class_sizes())
        return line if imbalance is None else f"{line}\n{imbalance}"

    def summary(self) -> str:
        """The summary that the console shows after training."""
        return closing_summary(self.result, self.folder, self.hardware, self.prepared.settings.ui.port)

    def _open_record(self) -> None:
        """Adopt the id that the tracking store has given the run, and record the epochs trained so far."""
        if self._record_open:
            return
        recorder, self._record_open = self.recorder, True
        self.result.run_id = recorder.run_id or self.result.run_id
        self.result.tracking = recorder.describe()
        self.result.write(self.folder)
        for metrics in self.result.history:  # MLflow ignores metrics that it already has
            recorder.log_metrics(metrics.numbers(), metrics.epoch, metrics.timestamp)

    def _initial_result(self, checkpoint: Checkpoint | None, stack: int | None) -> Result:
        prepared, data = self.prepared, self.prepared.data
        previous = (read_result(self.folder) or {}) if prepared.resumed is not None else {}
        return Result(
            run_id=previous.get("run_id") or uuid.uuid4().hex,  # until MLflow assigns one
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
            classes=data.info.classes,
            data={
                "name": data.info.name,
                "fingerprint": self.data.fingerprint,
                "fallback": data.fallback,
            },
            tracking=unrecorded(prepared.store),
            precision=prepared.settings.trainer.precision,
            stack=stack or previous.get("stack"),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            history=list(checkpoint.history) if checkpoint is not None else [],
        )

    def _save(self) -> None:
        checkpoint = Checkpoint(
            self.prepared.request.config,
            self.data.fingerprint,
            self.result.history,
            self.trainer.state_dict(),
            None if self.data.info.content is None else self.data.info.as_dict(),
        )
        previous = self.folder / PREVIOUS
        # The first checkpoint replaces one that may be damaged, which must not take the place of a good one.
        save_checkpoint(self.folder / CHECKPOINT, checkpoint, previous if self._saved else None)
        self._saved = True
        self.result.write(self.folder)

    def _end(self, state: State, reason: str | None = None) -> None:
        """Write the final state, to the folder first, because the tracking store may take long."""
        self.result.state, self.result.reason = state, reason
        if self.result.tracking.get("uri") is not None:
            self.result.tracking = {**self.result.tracking, "complete": False}  # until the store has everything
        self.result.write(self.folder)
        try:
            with suppress(Exception):  # already the reason that the run ends, or too late to matter
                self._open_record()
            with doing("waiting for MLflow") if self.prepared.store is not None else nullcontext():
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
