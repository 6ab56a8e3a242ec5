"""Opens one run of an experiment in MLflow: a new run, or one that an earlier attempt began."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archsearch.errors import TrackingError
from archsearch.tracking.messages import cause, error_line
from archsearch.tracking.mlflow_params import as_text, printable
from archsearch.tracking.recorder import DataInfo, RunInfo
from archsearch.tracking.store import Store, open_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A store that answers can refuse a run once: MLflow lets two runs that begin together insert the same data set.
OPENING_ATTEMPTS = 2


@dataclass
class RunOpening:
    """Reopens run `previous` or, if the store does not have it, creates a run. `open` can be tried repeatedly."""

    store: Store
    experiment: str
    info: RunInfo
    previous: str | None
    created: str | None = None  # the id of the run that was created

    def open(self) -> tuple["MlflowClient", str, str]:
        """A client of the store, the experiment's id and the run's id. Raises `TrackingError`."""
        client, experiment_id = open_experiment(self.store, self.experiment)
        try:
            return client, experiment_id, self._open(client, experiment_id)
        except Exception as error:
            raise TrackingError(f"tracking store {self.store} refuses the run: {error_line(error)}") from cause(error)

    def abandon(self, state: str) -> None:
        """End a run that was created but could not be opened completely."""
        if self.created is not None:
            with suppress(Exception):
                client, _ = open_experiment(self.store, self.experiment)
                client.set_terminated(self.created, state)

    def _open(self, client: "MlflowClient", experiment_id: str) -> str:
        from mlflow.entities import Param, RunTag

        info = self.info
        logged_params: Mapping[str, str] = {}
        run_id = self.created or self._existing(client, experiment_id)
        if run_id is None:
            run_id = self.created = client.create_run(experiment_id, run_name=printable(info.name)).info.run_id
        elif self.created is None:
            client.update_run(run_id, status="RUNNING")
            data = client.get_run(run_id).data
            logged_params = data.params  # MLflow rejects any change of a param, even from 0 to 0.0
            if "reason" in data.tags:
                client.delete_tag(run_id, "reason")
        params = [Param(key, as_text(value)) for key, value in info.params.items() if key not in logged_params]
        tags = [RunTag(key, printable(value)) for key, value in {**info.tags, "state": "RUNNING"}.items()]
        client.log_batch(run_id, params=params, tags=tags)
        if info.data is not None and self.created is not None:
            client.log_inputs(run_id, [_dataset_input(info.data)])
        return run_id

    def _existing(self, client: "MlflowClient", experiment_id: str) -> str | None:
        """The id of the run to reopen.

        A process that was killed may have created a run whose id no file has: a run of the same folder, still RUNNING
        and without a metric.
        """
        if self.previous is None or _exists(client, self.previous):
            return self.previous
        folder = self.info.tags.get("folder", "'")
        if "'" in folder:  # MLflow's filters cannot contain it
            return None
        query = f"tags.folder = '{folder}' and attributes.status = 'RUNNING'"
        for run in client.search_runs([experiment_id], query):
            same_machine = run.data.tags.get("hardware") == self.info.tags.get("hardware")
            if same_machine and not run.data.metrics:
                return str(run.info.run_id)
        return None


def _exists(client: "MlflowClient", run_id: str) -> bool:
    """Whether the store has this run. A run may have started without tracking or in another store, or been deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _dataset_input(data: DataInfo) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=data.name,
        digest=data.fingerprint,
        source_type="local",
        source=json.dumps({"uri": data.source}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
