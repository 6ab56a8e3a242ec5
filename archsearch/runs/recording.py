"""A run's record in MLflow: its content, and the process that writes it (this one or a recorder process)."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from archsearch.errors import TrackingError, first_line
from archsearch.runs.prepare import PreparedRun
from archsearch.runs.result import Result, test_metrics
from archsearch.tracking.mlflow_params import params_of, sweep_tags
from archsearch.tracking.mlflow_recorder import MlflowRecorder
from archsearch.tracking.provenance import provenance
from archsearch.tracking.recorder import AbsentRecorder, DataInfo, Recorder, RunInfo
from archsearch.tracking.recorder_process import RecorderProcess
from archsearch.tracking.store import Store, create_store
from archsearch.training.metrics import best_epoch

log = logging.getLogger(__name__)


@contextmanager
def recorder_process(prepared: PreparedRun) -> Iterator[RecorderProcess | None]:
    """Start the process that records `prepared`, if tracking is on. Enter the context before importing torch."""
    if prepared.store is None:
        yield None
        return
    experiment = prepared.settings.tracking.experiment
    with closing(RecorderProcess(prepared.store, experiment)) as process:
        yield process


class Recording:
    """Opens the record of the run of `prepared` in `folder`, which `process` writes, if there is one.

    Continues run `run_id` if the tracking store has it, and creates a run otherwise. Raises `TrackingError` if the
    store cannot be created.
    """

    def __init__(
        self,
        prepared: PreparedRun,
        folder: Path,
        fingerprint: str,
        hardware: str,
        run_id: str | None,
        process: RecorderProcess | None,
    ) -> None:
        self._prepared, self._process = prepared, process
        self._info = _run_info(prepared, folder, fingerprint, hardware)
        self._run_id = run_id
        self._recorder: Recorder | None = None
        if process is not None:
            create_store(process.store)  # raises the most likely error before training
            process.begin(self._info, run_id)

    @property
    def ready(self) -> bool:
        """Whether `recorder` is available without waiting. Raises `TrackingError` if the store refuses the run."""
        return self._recorder is not None or self._process is None or self._process.opened()

    @property
    def recorder(self) -> Recorder:
        """The open recorder; waits for it. If it cannot be opened, raises the error once and then records nothing."""
        if self._recorder is None:
            store = self._prepared.store
            try:
                self._recorder = Recorder() if store is None else self._open(store)
            except Exception as error:
                assert store is not None
                self._recorder = AbsentRecorder(store, first_line(error))
                raise
        return self._recorder

    def _open(self, store: Store) -> Recorder:
        if self._process is not None:
            self._process.opened(wait=True)
            return self._process
        settings, info, run_id = self._prepared.settings, self._info, self._run_id
        sweep_run, experiment = settings.sweep_run, settings.tracking.experiment
        if sweep_run is None:
            return MlflowRecorder.start(store, experiment, info, run_id)
        try:
            return MlflowRecorder.start(store, experiment, info, run_id or sweep_run.run_id, patience=0)
        except TrackingError as error:  # the sweep records it after training
            log.warning("WARNING: %s\n  training continues; the sweep records it later", first_line(error))
            return AbsentRecorder(store, first_line(error))


def unrecorded(store: Store | None) -> dict[str, Any]:
    """The `tracking` section of `result.json` until the record is open."""
    return (Recorder() if store is None else AbsentRecorder(store, None)).describe()


def final_metrics(result: Result) -> dict[str, float]:
    """The metrics of a finished run by their MLflow names: accuracies in percent, times in seconds."""
    seconds = sum(metrics.seconds for metrics in result.history)
    best = best_epoch(result.history)
    best_metrics: dict[str, float] = {}
    if best is not None and best.selection is not None:
        split = "val" if best.validation is not None else "test"
        best_metrics = {f"{split}/best_accuracy": best.selection.accuracy, "best_epoch": best.epoch}
    return {
        **test_metrics(result.test),
        "params": result.params,
        "macs": result.macs,
        **({"receptive_field": result.receptive_field} if result.receptive_field else {}),  # 0 is unknown
        **best_metrics,
        "epoch_seconds": seconds / len(result.history),
        "images_per_second": sum(metrics.train.total for metrics in result.history) / seconds,
    }


def _run_info(prepared: PreparedRun, folder: Path, fingerprint: str, hardware: str) -> RunInfo:
    dataset, sweep_run = prepared.data.info, prepared.settings.sweep_run
    tags = {
        **provenance(hardware),
        "data": dataset.name,
        "data.fingerprint": fingerprint,
        "folder": str(folder.absolute()),
    }
    if sweep_run is not None:
        tags |= sweep_tags(sweep_run.sweep, sweep_run.number, sweep_run.parent)
    if prepared.network is not None:
        tags["model"] = prepared.request.choices["model"]
    if prepared.data.fallback is not None:
        tags["data.fallback"] = prepared.data.fallback
    request = prepared.request
    params = params_of(request.config, request.choices, dataset.name)
    data = DataInfo(dataset.title, fingerprint, dataset.name)
    return RunInfo(request.name, params, tags, data)
