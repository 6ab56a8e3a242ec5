"""Trained networks in MLflow's model format, with signature, input example and requirements."""

import warnings
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn


def warm_up_model_logging() -> None:
    """Save a tiny model to a temporary folder, because the first save spends seconds on imports."""
    import mlflow
    import torch

    with suppress(Exception), quiet_export(), TemporaryDirectory(prefix="archsearch-") as folder:
        arguments = model_arguments(torch.nn.Linear(1, 1), np.zeros((2, 1), "f"))
        mlflow.pytorch.save_model(path=f"{folder}/model", **arguments)


def model_arguments(network: "nn.Module", example: NDArray[np.float32]) -> dict[str, Any]:
    """Keyword arguments for `mlflow.pytorch.log_model` and `save_model`. `example` is a batch of inputs."""
    import torch
    from mlflow.models import infer_signature

    with torch.inference_mode():
        output = network.eval()(torch.from_numpy(example)).numpy()
    return {
        "pytorch_model": network,
        "signature": infer_signature(example, output),
        "input_example": example,
        "pip_requirements": [f"torch=={torch.__version__.split('+')[0]}"],
    }


def quiet_export() -> "warnings.catch_warnings[None]":
    """Ignore torch's warnings about its export format."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)
