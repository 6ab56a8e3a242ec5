"""int8: an ONNX file quantised statically, and what that costs in accuracy. Imports the extra `export`."""

import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archsearch.config.schema import read
from archsearch.config.settings import DataSettings
from archsearch.data.catalogue import OWN
from archsearch.data.load import Labels, holdout, load, resolve_dataset
from archsearch.deploy.chosen import ChosenRun
from archsearch.deploy.onnx_file import INPUT, Compute
from archsearch.errors import ConfigError, DataError
from archsearch.model.classifier import as_images

_CALIBRATION = 512  # images
_BATCH = 64  # images


@dataclass(frozen=True)
class Images:
    """Raw pixels as exported networks take them: those to calibrate with, from `source`, and the test set's."""

    calibration: Tensor
    source: str
    test: Tensor
    labels: Labels


def images_of(run: ChosenRun) -> Images:
    """The data set of `run`: validation images to calibrate with, or training images if it held out none.

    Raises `DataError` if the data set is not on disk, or is not the one that the run was trained on.
    """
    data = data_settings(run)
    info = resolve_dataset(data).info
    images = load(info, Path(data.root))
    if images.fingerprint != run.checkpoint.data_fingerprint:
        raise DataError(f"data: the images of {info.title} in {data.path or data.root} are not those of the run")
    kept, held_out = holdout(info, images.train_labels, data)
    chosen = held_out if len(held_out) else kept
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(_CALIBRATION, len(chosen)), dtype=np.int64)]
    return Images(
        as_images(torch.tensor(images.train_images[chosen])),
        "validation" if len(held_out) else "training",
        as_images(torch.tensor(images.test_images)),
        images.test_labels,
    )


def data_settings(run: ChosenRun) -> DataSettings:
    """The settings of the run's data set. Public ones are in ARCHSEARCH_DATA, else where they were."""
    name = run.info.name  # not `auto`
    settings = {**run.checkpoint.config["data"], "name": name}
    if name not in OWN:
        settings["root"] = os.environ.get("ARCHSEARCH_DATA") or settings["root"]
    data, problems = read(DataSettings, settings, "data")
    if data is None:
        raise ConfigError(problems)
    return data


def write_quantised(source: Path, path: Path, calibration: Tensor) -> None:
    """Write the ONNX file `source` to `path` with weights and activations of 8 bits, by what `calibration` gives."""
    from onnxruntime.quantization import QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    batches = iter([{INPUT: batch.numpy()} for batch in torch.split(calibration, _BATCH)])
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # onnxruntime advises, through the root logger, what is done here
    try:
        with TemporaryDirectory(prefix="archsearch-") as folder, warnings.catch_warnings(action="ignore"):
            prepared = Path(folder, "prepared.onnx")
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(str(prepared), str(path), _Reader(batches), quant_format=QuantFormat.QDQ, per_channel=True)
    finally:
        root.setLevel(level)


def accuracy(compute: Compute, pixels: Tensor, labels: Labels) -> float:
    """The share of `pixels` that are classified as `labels` say, in percent."""
    predictions = np.concatenate([compute(batch).argmax(axis=1) for batch in torch.split(pixels, _BATCH)])
    return 100 * float(np.mean(predictions == labels))


class _Reader:
    """Batches, one at a call, as onnxruntime asks for them."""

    def __init__(self, batches: Iterator[dict[str, Any]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, or None."""
        return next(self._batches, None)
