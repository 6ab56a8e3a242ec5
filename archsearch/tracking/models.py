"""A trained network as MLflow keeps it: exported, with its signature, an example and what it needs."""

import warnings
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn


def rehearse_model() -> None:
    """Do what recording a model does the first time only, imports of seconds above all, without recording anything."""
    import mlflow
    import torch

    with suppress(Exception), quiet_export(), TemporaryDirectory(prefix="archsearch-") as folder:
        mlflow.pytorch.save_model(path=f"{folder}/model", **as_model(torch.nn.Linear(1, 1), np.zeros((2, 1), "f")))


def as_model(network: "nn.Module", example: NDArray[np.float32]) -> dict[str, Any]:
    """What MLflow is told of a model."""
    import torch
    from mlflow.models import infer_signature

    with torch.inference_mode():
        answer = network.eval()(torch.from_numpy(example)).numpy()
    return {
        "pytorch_model": network,
        "signature": infer_signature(example, answer),
        "input_example": example,
        "pip_requirements": [f"torch=={torch.__version__.split('+')[0]}"],
    }


def quiet_export() -> "warnings.catch_warnings[None]":
    """Without torch's own warnings of its export format."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)
