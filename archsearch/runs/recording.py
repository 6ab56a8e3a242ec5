"""The record of a run: what is put into it, and who keeps it, this process or one beside it."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from archsearch.errors import TrackingError, first_line
from archsearch.runs.prepare import Experiment
from archsearch.tracking.mlflow_params import params_of, sweep_tags
from archsearch.tracking.provenance import provenance
from archsearch.tracking.recorder import AbsentRecorder, DataInfo, MlflowRecorder, Recorder, RunInfo
from archsearch.tracking.recorder_process import RecorderAside
from archsearch.tracking.store import Store, make_store

log = logging.getLogger(__name__)


@contextmanager
def recorder_aside(experiment: Experiment) -> Iterator[RecorderAside | None]:
    """A process that will record `experiment`, if it is to be recorded; imports no torch, so enter it before that."""
    if experiment.store is None:
        yield None
        return
    _, model = experiment.record
    with closing(RecorderAside(experiment.store, experiment.settings.tracking.experiment, models=model)) as aside:
        yield aside


class Recording:
    """The record of `experiment`'s run in `folder`, kept by `aside` if there is one.

    The run is `run_id` where that is known in the tracking store, and else a new one. Raises `TrackingError` where the
    store cannot be made.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        fingerprint: str,
        device: str,
        run_id: str | None,
        aside: RecorderAside | None,
    ) -> None:
        self._experiment, self._aside = experiment, aside
        self._info = _info(experiment, folder, fingerprint, device)
        self._run_id = run_id
        self._recorder: Recorder | None = None
        if aside is not None:
            make_store(aside.store)  # so that the most likely failure comes before training
            aside.begin(self._info, run_id)

    @property
    def ready(self) -> bool:
        """Whether `recorder` is there without waiting for another process. Raises what keeps it from being opened."""
        return self._recorder is not None or self._aside is None or self._aside.opened()

    @property
    def recorder(self) -> Recorder:
        """The record, waited for. What keeps it from being opened is raised, once; then nothing is recorded."""
        if self._recorder is None:
            store = self._experiment.store
            try:
                self._recorder = Recorder() if store is None else self._open(store)
            except Exception as error:
                assert store is not None
                self._recorder = AbsentRecorder(store, first_line(error))
                raise
        return self._recorder

    def _open(self, store: Store) -> Recorder:
        if self._aside is not None:
            self._aside.opened(wait=True)
            return self._aside
        variant, name = self._experiment.settings.variant, self._experiment.settings.tracking.experiment
        if variant is None:
            return MlflowRecorder.start(store, name, self._info, self._run_id)
        try:
            return MlflowRecorder.start(store, name, self._info, self._run_id or variant.run_id, patience=0)
        except TrackingError as error:  # it is trained all the same, and recorded when the sweep is through
            log.warning("WARNING: %s\n  training goes on; the sweep records it later", first_line(error))
            return AbsentRecorder(store, first_line(error))


def _info(experiment: Experiment, folder: Path, fingerprint: str, device: str) -> RunInfo:
    definition, variant = experiment.data.definition, experiment.settings.variant
    tags = {
        **provenance(device),
        "data": definition.name,
        "data.fingerprint": fingerprint,
        "folder": str(folder.absolute()),
    }
    if variant is not None:
        tags |= sweep_tags(variant.sweep, variant.number, variant.parent)
    if experiment.data.fallback is not None:
        tags["data.fallback"] = experiment.data.fallback
    data = DataInfo(definition.title, fingerprint, definition.name)
    return RunInfo(experiment.request.name, params_of(experiment), tags, data)
