"""Reading runs back from MLflow, whoever recorded them. Nothing here writes but `keep`, which adds a file to a run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.errors import TrackingError, did_you_mean, first_line
from archsearch.tracking.store import Store, check_store, import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PAGE = 1000  # runs a request


@dataclass(frozen=True)
class StoredRun:
    """A run as MLflow has it. `started` is in milliseconds since 1970; of each metric, the last value."""

    run_id: str
    name: str
    state: str
    started: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Reader:
    """What can be asked of a tracking store. Make one with `open`. Its methods raise `TrackingError`."""

    store: Store
    client: "MlflowClient"

    @classmethod
    def open(cls, store: Store) -> "Reader":
        """A reader of `store`, which must exist: reading creates nothing."""
        check_store(store)
        if store.database is not None and not store.database.exists():
            raise TrackingError(f"tracking store {store} does not exist yet: train something first")
        import_mlflow()
        from mlflow import MlflowClient

        with _explained(store):
            return cls(store, MlflowClient(tracking_uri=store.uri))

    def runs(self, experiments: Sequence[str], query: str = "") -> list[StoredRun]:
        """The runs of these experiments (names or ids; none is all of them) that MLflow's filter `query` lets pass."""
        with _explained(self.store):
            ids = self._ids(experiments)
            found: list[StoredRun] = []
            token: str | None = None
            while True:
                page = self.client.search_runs(ids, query, max_results=_PAGE, page_token=token)
                for run in page:
                    info, data = run.info, run.data
                    found.append(
                        StoredRun(
                            info.run_id, info.run_name or info.run_id, info.status, info.start_time or 0,
                            data.params, data.metrics, data.tags,
                        )
                    )  # fmt: skip
                token = page.token
                if not token:
                    return found

    def download(self, run_id: str, name: str, folder: Path) -> Path | None:
        """Artifact `name` of a run, as a file in `folder`; None where the run has no such artifact."""
        with _explained(self.store):
            if all(file.path != name for file in self.client.list_artifacts(run_id)):
                return None
            folder.mkdir(parents=True, exist_ok=True)
            return Path(self.client.download_artifacts(run_id, name, str(folder)))

    def keep(self, run_id: str, path: Path) -> None:
        """Add a file to a run's artifacts; a file of this name that it had is replaced."""
        with _explained(self.store):
            self.client.log_artifact(run_id, str(path))

    def _ids(self, experiments: Sequence[str]) -> list[str]:
        there = self.client.search_experiments()
        by_name = {experiment.name: experiment.experiment_id for experiment in there}
        by_name |= {experiment.experiment_id: experiment.experiment_id for experiment in there}
        for name in experiments:
            if name not in by_name:
                names = [experiment.name for experiment in there]
                raise TrackingError(
                    f"experiment={name}: {self.store} has no such experiment{did_you_mean(name, names)};"
                    f" it has {', '.join(sorted(names))}"
                )
        return [by_name[name] for name in experiments] or [experiment.experiment_id for experiment in there]


@contextmanager
def _explained(store: Store) -> Iterator[None]:
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # whatever MLflow, SQLAlchemy or a driver raises
        raise TrackingError(f"tracking store {store}: {first_line(error)}") from error
