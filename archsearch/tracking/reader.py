"""Reads runs back from MLflow. Only `Reader.upload` writes: it adds a file to a run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.errors import ArchsearchError, TrackingError, did_you_mean
from archsearch.tracking.messages import cause, error_line
from archsearch.tracking.mlflow_params import printable
from archsearch.tracking.store import Store, check_store, import_mlflow, require_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 1000  # runs per request


@dataclass(frozen=True)
class StoredRun:
    """A run as MLflow stores it. `started` is in milliseconds since 1970; `metrics` holds the last values."""

    run_id: str
    name: str
    state: str
    started: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Reader:
    """Queries of a tracking store. Create one with `open`. All methods raise `TrackingError`."""

    store: Store
    client: "MlflowClient"

    @classmethod
    def open(cls, store: Store) -> "Reader":
        """A reader of `store`, which must exist. Creates nothing."""
        check_store(store)
        require_store(store)
        import_mlflow()
        from mlflow import MlflowClient

        with tracking_errors(store):
            return cls(store, MlflowClient(tracking_uri=store.uri))

    def runs(self, experiments: Sequence[str], query: str = "") -> list[StoredRun]:
        """The runs that match MLflow's filter `query`, in these experiments (names or ids) or, if empty, in all."""
        with tracking_errors(self.store):
            ids = self._ids(experiments)
            return [_stored(run) for run in matching_runs(self.client, ids, query)]

    def download(self, run_id: str, name: str, folder: Path) -> Path | None:
        """Download artifact `name` of a run to `folder`. Returns its path, or None if the run has no such artifact."""
        with tracking_errors(self.store):
            if all(file.path != name for file in self.client.list_artifacts(run_id)):
                return None
            folder.mkdir(parents=True, exist_ok=True)
            return Path(self.client.download_artifacts(run_id, name, str(folder)))

    def upload(self, run_id: str, path: Path) -> None:
        """Add a file to a run's artifacts, replacing a file of the same name."""
        with tracking_errors(self.store):
            self.client.log_artifact(run_id, str(path))

    def _ids(self, names: Sequence[str]) -> list[str]:
        experiments = self.client.search_experiments()
        ids = {experiment.name: experiment.experiment_id for experiment in experiments}
        ids |= {experiment.experiment_id: experiment.experiment_id for experiment in experiments}
        for name in names:
            if name not in ids:
                existing = [experiment.name for experiment in experiments]
                raise TrackingError(
                    f"experiment={name}: {self.store} has no such experiment{did_you_mean(name, existing)};"
                    f" it has {', '.join(sorted(existing))}"
                )
        return [ids[name] for name in names] or [experiment.experiment_id for experiment in experiments]


def matching_runs(client: "MlflowClient", experiment_ids: Sequence[str], query: str) -> Iterator["Run"]:
    """The runs of these experiments that match MLflow's filter `query`. Raises what MLflow raises."""
    token: str | None = None
    while True:
        page = client.search_runs(list(experiment_ids), query, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _stored(run: "Run") -> StoredRun:
    info, data = run.info, run.data
    return StoredRun(
        info.run_id,
        printable(info.run_name or info.run_id),
        info.status,
        info.start_time or 0,
        _printable(data.params),
        data.metrics,
        _printable(data.tags),
    )


def _printable(values: Mapping[str, str]) -> dict[str, str]:
    return {printable(key): printable(value) for key, value in values.items()}


@contextmanager
def tracking_errors(store: Store) -> Iterator[None]:
    """Raise what MLflow, SQLAlchemy or a database driver raises as `TrackingError`."""
    try:
        yield
    except ArchsearchError:
        raise
    except Exception as error:
        raise TrackingError(f"tracking store {store}: {error_line(error)}") from cause(error)
