"""Trained networks in MLflow's model format: files that are written elsewhere, as torch is not imported here."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.tracking.store import Store, restored_mlflow


@dataclass(frozen=True)
class ModelFiles:
    """A trained network as the content of files that MLflow can load, and what MLflow says about it.

    `package` is a Python package whose `_load_pyfunc` makes the model from the file `weights`. No two packages share a
    name.
    """

    package: str
    code: Mapping[str, str]  # the package's files: names and texts
    weights: str  # name of the file with the weights
    content: bytes  # of that file
    class_names: tuple[str, ...]
    requirements: tuple[str, ...]  # what must be installed to load it, beside MLflow
    example: NDArray[np.uint8]  # a batch of raw pixels
    logits: NDArray[np.float32]  # of the example


def log_model(store: Store, run_id: str, model: ModelFiles) -> str:
    """Log `model` as that of a run in `store`, which stays as it is otherwise.

    Returns the model's id. Raises MLflow's errors, and `OSError` if the files cannot be written.
    """
    import mlflow
    from mlflow import MlflowClient
    from mlflow.models import Model, infer_signature

    # MLflow's imports warn of its own code.
    quiet = warnings.catch_warnings(action="ignore", category=UserWarning)
    with TemporaryDirectory(prefix="archsearch-") as folder, restored_mlflow(), quiet:
        package, weights = Path(folder) / model.package, Path(folder) / model.weights
        package.mkdir()
        for name, text in model.code.items():
            (package / name).write_text(text, encoding="utf-8")
        weights.write_bytes(model.content)
        mlflow.set_tracking_uri(store.uri)
        client = MlflowClient(store.uri)
        run = client.get_run(run_id)
        # `Model.log` would make it in the experiment of the active run. To start and end the run changes its end time.
        made = client.create_logged_model(
            run.info.experiment_id, name="model", source_run_id=run_id, params=run.data.params
        )
        Model.log(
            None,
            _PythonFunction,
            name="model",
            run_id=run_id,
            model_id=made.model_id,
            validate_serving_input=False,
            loader_module=model.package,
            code_paths=[str(package)],
            data_path=str(weights),
            signature=infer_signature(model.example, model.logits),
            input_example=model.example,
            pip_requirements=list(model.requirements),
            metadata={"class_names": list(model.class_names)},
        )
    return str(made.model_id)


class _PythonFunction:
    """MLflow's flavor `python_function`. Unlike `mlflow.pyfunc.log_model`, `Model.log` need not load the model with it.

    Loading would import torch, to see whether the model answers to its example.
    """

    @staticmethod
    def save_model(path: str, mlflow_model: Any, *, validate_serving_input: bool, **arguments: Any) -> None:
        """What `Model.log` calls, with its own arguments."""
        import mlflow.pyfunc

        del validate_serving_input  # for `Model.log`
        mlflow.pyfunc.save_model(path, mlflow_model=mlflow_model, **arguments)
