"""The model that a run leaves in MLflow: a trained network as files that are loaded without archsearch.

A network of layers of torch's and archsearch's becomes source (`source`) and weights. A network with other layers, or
of a person's own, becomes a program of torch.export, as its code may not exist where the model is loaded.
"""

import hashlib
import io
import warnings
from importlib.metadata import version

import torch
from torch import Tensor

from archsearch.data.info import DatasetInfo
from archsearch.model.classifier import Classifier
from archsearch.model.custom import CountedPlan
from archsearch.model.plan import Plan
from archsearch.model.program import program_of
from archsearch.runs.formatting import with_model
from archsearch.runs.source import foreign_layers, module_name, source_of, weights_of
from archsearch.tracking.models import ModelFiles

_LOADER = '''"""What MLflow imports to load the model {module}."""

import numpy
import torch
{load}

class Logits:
    """A network as MLflow calls it, on the CPU."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def get_raw_model(self) -> torch.nn.Module:
        """The network itself: uint8 tensors to logits."""
        return self.network

    def predict(self, pixels: numpy.ndarray, params: object = None) -> numpy.ndarray:
        """Raw pixels, uint8 as in the model's input example -> logits (N, classes)."""
        with torch.inference_mode():
            return self.network(torch.from_numpy(numpy.array(pixels))).float().numpy()


def _load_pyfunc(path: str) -> Logits:
    """The model whose weights are in the file `path`."""
    return Logits(load(path))
'''

_LOAD_SOURCE = """
from .{module} import load
"""

_LOAD_PROGRAM = '''

def load(path: str) -> torch.nn.Module:
    """The trained network, in eval mode."""
    return torch.export.load(path).module()
'''


def model_files(
    classifier: Classifier, plan: Plan, info: DatasetInfo, model: str, title: str, example: Tensor
) -> ModelFiles:
    """The files of `classifier`, whose network is of `plan`, trained on the data set `info`.

    `model` is the name of its model, `title` that of its run, `example` a batch of two or more images of raw pixels.
    Raises whatever torch.export raises about layers of a person's own.
    """
    module = module_name(model)
    if isinstance(plan, CountedPlan) or foreign_layers(plan):
        program, content = program_of(classifier, example), io.BytesIO()
        with warnings.catch_warnings(action="ignore"):
            torch.export.save(program, content)
        suffix, weights, needs = ".pt2", content.getvalue(), ["torch"]
        code = {"__init__.py": _LOADER.format(module=module, load=_LOAD_PROGRAM)}
    else:
        suffix, weights, needs = ".safetensors", weights_of(classifier.network), ["torch", "safetensors"]
        code = {
            "__init__.py": _LOADER.format(module=module, load=_LOAD_SOURCE.format(module=module)),
            f"{module}.py": source_of(plan, info, with_model(title, model), module),
        }
    with torch.inference_mode():
        logits = classifier.eval()(example).float().numpy()
    return ModelFiles(
        # MLflow puts the package's folder on `sys.path`, and Python imports each name once: other code, other name.
        package=f"{module}_{hashlib.blake2b(repr(code).encode(), digest_size=4).hexdigest()}",
        code=code,
        weights=f"{module}{suffix}",
        content=weights,
        class_names=classifier.class_names,
        requirements=tuple(f"{package}=={version(package).split('+')[0]}" for package in needs),
        example=example.numpy(),
        logits=logits,
    )
