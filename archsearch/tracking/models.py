"""Trained networks in MLflow's model format, with signature, input example, class names and requirements."""

import warnings
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.model.classifier import Classifier, Preprocessing


def warm_up_model_logging() -> None:
    """Save a tiny model to a temporary folder, because the first save spends seconds on imports."""
    import mlflow
    from torch import nn

    with suppress(Exception), quiet_export(), TemporaryDirectory(prefix="archsearch-") as folder:
        tiny = Classifier(Preprocessing((1, 1, 1), 0, 1), nn.Sequential(nn.Flatten(), nn.Linear(1, 1)), ["a"])
        mlflow.pytorch.save_model(path=f"{folder}/model", **model_arguments(tiny, np.zeros((2, 1, 1), np.uint8)))


def model_arguments(classifier: Classifier, example: NDArray[np.uint8]) -> dict[str, Any]:
    """Keyword arguments for `mlflow.pytorch.log_model` and `save_model`. `example` is a batch of raw pixels."""
    import torch
    from mlflow.models import infer_signature

    with torch.inference_mode():
        output = classifier.eval()(torch.from_numpy(example)).numpy()
    return {
        "pytorch_model": classifier,
        "signature": infer_signature(example, output),
        "input_example": example,
        "pip_requirements": [f"torch=={torch.__version__.split('+')[0]}"],
        "metadata": {"class_names": list(classifier.class_names)},
    }


def quiet_export() -> "warnings.catch_warnings[None]":
    """Ignore torch's warnings about its export format."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)
