"""ONNX: a network with its preprocessing as one file, and its session in onnxruntime. Imports the extra `export`."""

import json
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from archsearch.deploy.checks import EXAMPLES, cannot_export, example_pixels
from archsearch.model.classifier import Classifier

INPUT, OUTPUT = "pixels", "logits"
CLASS_NAMES = "class_names"  # in the metadata, as a JSON list

Compute = Callable[[Tensor], NDArray[np.float32]]


def write_onnx(classifier: Classifier, path: Path) -> None:
    """Write `classifier` to `path`, for batches of any size. Raises `RunError` if it cannot be exported."""
    import torch

    example = example_pixels(classifier, EXAMPLES)
    # Deprecations inside of torch and onnxscript, and what onnxscript prints about its optimisation.
    with warnings.catch_warnings(action="ignore"), redirect_stdout(StringIO()):
        try:
            program = torch.onnx.export(
                classifier,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: "batch"},),
            )
        except Exception as error:  # whatever the network's own layers do
            raise cannot_export("onnx", error) from error
        assert program is not None
        for node in program.model.graph.all_nodes():
            node.metadata_props.clear()  # stack traces, with paths of this machine
        program.model.metadata_props[CLASS_NAMES] = json.dumps(classifier.class_names, ensure_ascii=False)
        program.save(str(path), external_data=False)


def computed_by(path: Path) -> Compute:
    """A function that computes the logits of raw pixels with the ONNX file `path`, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def compute(pixels: Tensor) -> NDArray[np.float32]:
        (logits,) = session.run([OUTPUT], {INPUT: pixels.numpy()})
        return np.asarray(logits, dtype=np.float32)

    return compute
