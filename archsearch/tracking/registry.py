"""MLflow's model registry: the model of a run as a version of a registered model, with an alias."""

import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO

import numpy as np

from archsearch.tracking.models import ModelFiles, log_model
from archsearch.tracking.reader import Reader, tracking_errors
from archsearch.tracking.store import Store, restored_mlflow


def register_model(store: Store, run_id: str, name: str, alias: str | None, make: Callable[[], ModelFiles]) -> str:
    """Register the model of a run in `store` as a new version of `name`, which `alias` names from now on.

    A run without a model that takes raw pixels gets the one that `make` returns. Returns the version. Raises
    `TrackingError`.
    """
    reader = Reader.open(store)
    with tracking_errors(store), restored_mlflow(), warnings.catch_warnings(action="ignore"):
        import mlflow

        mlflow.set_tracking_uri(store.uri)
        model_id = _model_of(reader, run_id) or log_model(store, run_id, make())
        with redirect_stderr(StringIO()):  # where MLflow tells what it does
            version = mlflow.register_model(f"models:/{model_id}", name).version
        if alias is not None:
            reader.client.set_registered_model_alias(name, alias, str(version))
    return str(version)


def _model_of(reader: Reader, run_id: str) -> str | None:
    """The id of the run's last model that takes raw pixels, and is whole: not one whose files could not be stored.

    Earlier versions recorded models without preprocessing.
    """
    import mlflow
    from mlflow.types import TensorSpec

    experiments = [reader.client.get_run(run_id).info.experiment_id]
    newest_first = [{"field_name": "creation_timestamp", "ascending": False}]
    models = reader.client.search_logged_models(experiments, f"source_run_id = '{run_id}'", order_by=newest_first)
    for model in models:
        if model.status != "READY":
            continue
        signature = mlflow.models.get_model_info(f"models:/{model.model_id}").signature
        specs = signature.inputs.inputs if signature is not None else []
        if [spec.type for spec in specs if isinstance(spec, TensorSpec)] == [np.dtype(np.uint8)]:
            return str(model.model_id)
    return None
