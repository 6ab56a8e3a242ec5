"""What a sweep and a search do before they train: find data, refuse folders that are in use, open the parent run."""

import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from archsearch.compose.composition import task_overrides
from archsearch.compose.labels import labels
from archsearch.compose.overrides import as_typed, resume_of
from archsearch.config.settings import DataSettings, Settings, TrackingSettings
from archsearch.data.info import DatasetInfo
from archsearch.data.load import ResolvedDataset, resolve_dataset, source_of
from archsearch.errors import ResumeError, TrackingError, first_line
from archsearch.runs.console import data_banner, imbalance_line
from archsearch.runs.folder import OUTPUTS, SWEEP
from archsearch.sweep.record import SweepRecord
from archsearch.system.memory import note_memory
from archsearch.tracking.mlflow_recorder import MlflowRecorder
from archsearch.tracking.recorder import Recorder, RunInfo
from archsearch.tracking.store import Store
from archsearch.tracking.sweeps import begun_runs

log = logging.getLogger(__name__)


class Datasets:
    """The data sets that runs name, each resolved once."""

    def __init__(self) -> None:
        self._resolved: dict[DataSettings, ResolvedDataset] = {}

    def find(self, settings: Settings) -> DatasetInfo:
        """The data set of a run with `settings`. Downloads it if needed."""
        key = source_of(settings.data)
        if key not in self._resolved:
            self._resolved[key] = resolve_dataset(key)
        return self._resolved[key].info

    def announce(self) -> None:
        """Warn of data sets that stand in for others; say which are large, and whose classes differ much in size."""
        for dataset in self._resolved.values():
            note_memory(dataset.info.bytes, f"{dataset.info.title}, which all runs share,")
            if dataset.fallback is not None:
                log.warning(data_banner(dataset.info.title, dataset.fallback))
            imbalance = imbalance_line(dataset.info.classes, dataset.info.class_sizes)
            if imbalance is not None:
                log.info("%s", imbalance)


def resumed_sweep(master: DictConfig, folder: Path) -> SweepRecord | None:
    """The record of the sweep in `folder` if `resume` asks for it; None for a new one.

    Raises `ResumeError` if a new sweep would go where one is, or the record cannot be read.
    """
    if any(resume_of(override) for override in task_overrides(master.hydra)):
        return SweepRecord.read(folder)
    if (folder / SWEEP).exists():
        raise ResumeError(
            f"{folder} already holds a sweep: continue it with -m {resume_argument(folder)}, or choose another folder"
        )
    return None


@contextmanager
def interruption_explained(folder: Path) -> Iterator[None]:
    """Say after Ctrl-C what is there of the sweep in `folder`, which has not trained anything yet."""
    try:
        yield
    except KeyboardInterrupt:
        print(resume_line(folder) if (folder / SWEEP).exists() else "nothing was begun")
        raise


def recorded_store(record: SweepRecord | None) -> dict[str, str]:
    """The environment in which a resumed sweep finds its SQLite store, from wherever it is resumed.

    `tracking.uri` and MLFLOW_TRACKING_URI come first. A store that is gone, as after a move, is not looked for.
    """
    uri = record.tracking.get("uri") if record is not None else None
    if uri is None or os.environ.get("MLFLOW_TRACKING_URI"):
        return {}
    database = Store(uri).database
    return {"MLFLOW_TRACKING_URI": uri} if database is not None and database.is_file() else {}


def begun_before(record: SweepRecord, store: Store, tracking: TrackingSettings) -> Mapping[int, str]:
    """The ids of MLflow runs that earlier sessions of a sweep began, by number, so that they can be continued.

    If the store does not answer, it warns, and there are none.
    """
    try:
        return begun_runs(store, tracking.experiment, record.id)
    except TrackingError as error:
        log.warning("WARNING: %s", first_line(error))
        return {}


def open_parent(
    record: SweepRecord,
    folder: Path,
    store: Store | None,
    tracking: TrackingSettings,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Recorder:
    """The recorder of the MLflow run of the sweep in `folder`: a new run, or that of the sweep that is resumed.

    `name` is the run's; the default names the settings that vary.
    """
    if store is None:
        return Recorder()
    info = RunInfo(
        (name or f"sweep of {', '.join(labels(record.keys)) or 'one run'}")[:200],
        {},
        # Tags, because MLflow params cannot change, and resuming can enlarge a sweep.
        {
            "sweep.id": record.id,
            "sweep.overrides": " ".join(map(as_typed, record.overrides)),
            "folder": str(folder.absolute()),
            **(tags or {}),
        },
    )
    same_store = record.tracking.get("uri") == str(store)
    recorder = MlflowRecorder.start(
        store, tracking.experiment, info, record.tracking.get("run_id") if same_store else None
    )
    record.tracking = {**recorder.describe(), "run_id": recorder.run_id}
    if record.entries:  # a search has none yet, and could not be read
        record.write(folder)
    return recorder


def resume_line(folder: Path) -> str:
    """What resumes the sweep in `folder`, as a person reads it."""
    return f"resume   python -m archsearch -m {resume_argument(folder)}  trains the remaining runs"


def resume_argument(folder: Path) -> str:
    """The argument that resumes the sweep in `folder`, quoted for a shell."""
    by_name = folder.absolute().parent == (OUTPUTS / "sweeps").absolute()
    return shlex.quote(f"resume={folder.name if by_name else os.path.relpath(folder)}")
