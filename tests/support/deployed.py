"""Networks as if they had been trained, to be exported."""

import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch.data.info import DatasetInfo
from archsearch.deploy.checks import example_pixels
from archsearch.deploy.chosen import ChosenRun
from archsearch.model.builder import build_plan
from archsearch.model.classifier import Classifier
from archsearch.model.plan import Plan
from archsearch.training.restored import classifier_of

# Imports the module NAME of the working directory where archsearch cannot be imported, and saves its logits.
_BARE = """
import importlib, sys
sys.modules["archsearch"] = None
try:
    import archsearch
except ImportError:
    pass
else:
    raise SystemExit("archsearch is here")
import numpy, torch
sys.path.insert(0, ".")
module = importlib.import_module(sys.argv[1])
network = module.load()
assert not network.training
with torch.inference_mode():
    logits = [network(torch.from_numpy(pixels)) for pixels in numpy.load("pixels.npz").values()]
assert not any(name.startswith("archsearch.") for name in sys.modules)
numpy.savez("logits.npz", *[values.numpy() for values in logits])
print(*module.CLASSES)
"""


@dataclass(frozen=True)
class MadeUpRun(ChosenRun):
    """The run of a network of `made_plan`, for images of its shape, that nobody trained."""

    made_plan: Plan

    @classmethod
    def of(cls, plan: Plan, name: str) -> "MadeUpRun":
        """A run of the model `name`, whose plan this is."""
        return cls(Path("nowhere"), {"run_id": "0123456789ab", "name": name, "choices": {"model": name}}, "", plan)

    @property
    def plan(self) -> Plan:
        return self.made_plan

    @property
    def info(self) -> DatasetInfo:
        classes = tuple(f"class {number}" for number in range(self.made_plan.output_shape[0]))
        channels, height, width = self.made_plan.input_shape
        return DatasetInfo("x", "X", classes, (channels, height, width), 1, 1, (0.3,), (0.2,))

    @cached_property
    def classifier(self) -> Classifier:
        """With weights from a seed, and statistics of a batch, so that no norm is an identity."""
        torch.manual_seed(1)
        classifier = classifier_of(build_plan(self.made_plan), self.info)
        classifier.network.train()
        with torch.no_grad():
            for _ in range(3):
                classifier(example_pixels(classifier, 8))
        return classifier.eval()


def logits_in_a_bare_process(folder: Path, name: str, *batches: torch.Tensor) -> list[Any]:
    """What the source file `name`.py in `folder` computes where there is no archsearch; its classes are printed."""
    np.savez(folder / "pixels.npz", *[batch.numpy() for batch in batches])
    command = [sys.executable, "-I", "-c", _BARE, name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return list(np.load(folder / "logits.npz").values())
