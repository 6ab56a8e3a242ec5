"""The record of a run, opened in a thread while the network already trains.

MLflow takes seconds to import and to make a new store, more than some networks take for an epoch.
"""

import importlib
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from archsearch.columns import params_of, sweep_tags
from archsearch.errors import TrackingError, first_line
from archsearch.prepare import Experiment
from archsearch.provenance import provenance
from archsearch.tracking.recorder import AbsentRecorder, DataInfo, MlflowRecorder, Recorder, RunInfo
from archsearch.tracking.store import make_store

log = logging.getLogger(__name__)

# What the end of a run imports. That takes seconds, too; where a library has moved a module, it is imported later.
_FOR_FIGURES = ("matplotlib.figure", "matplotlib.ticker", "matplotlib.backends.backend_agg")
_FOR_MODEL = ("mlflow.pytorch", "torch.export._trace", "git")
_PATIENT = 0.0005  # seconds until a thread lets the other have Python: torch asks for it hundreds of times a second


class Recording:
    """The record of `experiment`'s run in `folder`. Close it before the run is over.

    The run is `run_id` where that is known in the tracking store, and else a new one. Raises `TrackingError` where the
    store cannot be made.
    """

    def __init__(self, experiment: Experiment, folder: Path, fingerprint: str, device: str, run_id: str | None) -> None:
        if experiment.store is not None and experiment.settings.variant is None:
            make_store(experiment.store)  # so that the most likely failure comes before training
        self._experiment = experiment
        self._about = folder, fingerprint, device, run_id
        self._recorder: Recorder | None = None
        self._thread = ThreadPoolExecutor(1, "record")
        self._opened: Future[Recorder] | None = None
        self._imported: Future[None] | None = None

    def start(self) -> None:
        """Begin, if that has not been: not before the first step, which imports and compiles things itself.

        Two threads that do that disturb each other, were it only by Python's filters of warnings, which both change.
        """
        self._start_opening()
        if self._imported is None:
            figures, model = self._experiment.record
            self._imported = self._thread.submit(_import, _FOR_FIGURES * figures + _FOR_MODEL * model)

    @property
    def ready(self) -> bool:
        """Whether `recorder` is there without waiting."""
        return self._recorder is not None or (self._opened is not None and self._opened.done())

    @property
    def recorder(self) -> Recorder:
        """The record, waited for. What keeps it from being opened is raised, once; then nothing is recorded."""
        if self._recorder is None:
            try:
                self._recorder = self._start_opening().result()
            except Exception as error:
                assert self._experiment.store is not None
                self._recorder = AbsentRecorder(self._experiment.store, first_line(error))
                raise
        return self._recorder

    def settle(self) -> None:
        """Wait until nothing is being imported any more."""
        if self._imported is not None:
            self._imported.result()

    def close(self) -> None:
        """Leave nothing running."""
        self._thread.shutdown(cancel_futures=True)

    def _start_opening(self) -> Future[Recorder]:
        if self._opened is None:
            self._opened = self._thread.submit(_open, self._experiment, *self._about)
        return self._opened


def _open(experiment: Experiment, folder: Path, fingerprint: str, device: str, run_id: str | None) -> Recorder:
    if experiment.store is None:
        return Recorder()
    definition, variant = experiment.data.definition, experiment.settings.variant
    tags = {
        **provenance(device),
        "data": definition.name,
        "data.fingerprint": fingerprint,
        "folder": str(folder.absolute()),
    }
    if variant is not None:
        tags |= sweep_tags(variant.sweep, variant.number, variant.parent)
        run_id = run_id or variant.run_id
    if experiment.data.fallback is not None:
        tags["data.fallback"] = experiment.data.fallback
    info = RunInfo(
        experiment.request.name,
        params_of(experiment),
        tags,
        DataInfo(definition.title, fingerprint, definition.name),
    )
    name = experiment.settings.tracking.experiment
    with _taking_turns():
        if variant is None:
            return MlflowRecorder.start(experiment.store, name, info, run_id)
        try:
            return MlflowRecorder.start(experiment.store, name, info, run_id, patience=0)
        except TrackingError as error:  # it is trained all the same, and recorded when the sweep is through
            log.warning("WARNING: %s\n  training goes on; the sweep records it later", first_line(error))
            return AbsentRecorder(experiment.store, first_line(error))


def _import(modules: tuple[str, ...]) -> None:
    with _taking_turns():
        for module in modules:
            with suppress(ImportError):
                importlib.import_module(module)


@contextmanager
def _taking_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(_PATIENT)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
