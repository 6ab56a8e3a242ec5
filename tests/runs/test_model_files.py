"""The files of a model in MLflow: loaded together in one process that has no archsearch, with the same logits."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from archsearch.data.info import DatasetInfo
from archsearch.model.builder import build_plan
from archsearch.model.classifier import Classifier, as_images
from archsearch.model.custom import count_network
from archsearch.model.heads import GapHead
from archsearch.model.lowering import Lowering
from archsearch.model.plan import Plan
from archsearch.runs.model_files import model_files
from archsearch.tracking.models import ModelFiles, log_model
from archsearch.tracking.store import Store, open_experiment, restored_mlflow
from archsearch.training.restored import classifier_of
from tests.support.models import lower
from tests.support.networks import network

GREY, COLOUR = (1, 28, 28), (3, 20, 18)
CLASSES = ("no", 'a "b"', "ü")

# Branches, and every layer of archsearch's own.
BLOCKS = {
    "conv": {"channels": 4, "padding": 1},
    "blur": {"type": "pool", "pool": "blur"},
    "stage": {"type": "residual", "shortcut": "pad", "body": {"conv": {"channels": 8, "stride": 2, "padding": 1}}},
    "attention": {"type": "squeeze_excite"},
    "where": {"type": "spatial_attention"},
}

# Loads all models in one process, the first one twice; neither archsearch nor what only tests have can be imported.
BARE = """
import sys
for name in ("archsearch", "tests"):
    sys.modules[name] = None
import mlflow, numpy, torch
logits = []
for folder, images in zip(sys.argv[1:], numpy.load("images.npz").values(), strict=True):
    model = mlflow.pyfunc.load_model(folder)
    logits.append(model.predict(images))
    assert isinstance(model.get_raw_model(), torch.nn.Module)
assert not any(name.startswith(("archsearch.", "tests.")) for name in sys.modules)
numpy.savez("logits.npz", *logits)
"""


def files_of(
    plan: Plan, model: str, network: torch.nn.Module | None = None, seed: int = 1
) -> tuple[Classifier, ModelFiles]:
    """A classifier of the network of `plan`, or of `network`, and its files."""
    torch.manual_seed(seed)
    shape = (plan.input_shape[0], plan.input_shape[1], plan.input_shape[2])
    info = DatasetInfo("x", "X", CLASSES, shape, 1, 1, (0.3,) * shape[0], (0.2,) * shape[0])
    classifier = classifier_of(build_plan(plan) if network is None else network, info)
    return classifier, model_files(classifier, plan, info, model, f"seed={seed}", images_of(shape, 2))


def images_of(shape: tuple[int, ...], count: int) -> torch.Tensor:
    random = np.random.default_rng(count)
    return as_images(torch.from_numpy(random.integers(0, 256, (count, *shape), dtype=np.uint8)))


def plan_with_a_layer_of_ones_own() -> Plan:
    lowering = Lowering(COLOUR)
    with lowering.block("scale", ""):
        lowering.add("scale", "tests.support.networks:Scale", {"channels": 3}, 3)
    with lowering.block("head", ""):
        GapHead().lower(lowering, len(CLASSES))
    return Plan(COLOUR, tuple(lowering.nodes))


def own_network() -> tuple[Classifier, ModelFiles]:
    module = network()
    module.linear = torch.nn.Linear(4, len(CLASSES))
    return files_of(count_network(module, GREY, len(CLASSES), channels_last=True), "custom", module.eval())


class HalfPrecision(torch.nn.Module):
    """A network that computes, and answers, in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(28 * 28, len(CLASSES), dtype=torch.bfloat16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(images.flatten(1).bfloat16())
        return logits


def half_precision() -> tuple[Classifier, ModelFiles]:
    module = HalfPrecision()
    return files_of(count_network(module, GREY, len(CLASSES), channels_last=True), "custom", module)


def from_blocks(shape: tuple[int, ...], seed: int = 1) -> tuple[Classifier, ModelFiles]:
    model = {"blocks": BLOCKS, "head": {"type": "linear"}}
    return files_of(lower(model, shape, len(CLASSES)), "my-net", seed=seed)


MODELS: dict[str, Callable[[], tuple[Classifier, ModelFiles]]] = {
    "grey": lambda: from_blocks(GREY),
    "other weights": lambda: from_blocks(GREY, seed=2),
    "colour": lambda: from_blocks(COLOUR),
    "layer of one's own": lambda: files_of(plan_with_a_layer_of_ones_own(), "scaled"),
    "network of one's own": own_network,
    "half precision": half_precision,
}


@dataclass(frozen=True)
class Logged:
    """A model in MLflow: its folder, what it was made of, and images."""

    folder: Path
    files: ModelFiles
    images: NDArray[np.uint8]
    expected: NDArray[np.float32]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Logged]:
    folder = tmp_path_factory.mktemp("models")
    store = Store(f"sqlite:///{folder}/mlflow.db")
    client, experiment = open_experiment(store, "archsearch")
    models = {}
    for name, make in MODELS.items():
        classifier, files = make()
        run = client.create_run(experiment)
        model_id = log_model(store, run.info.run_id, files)
        assert client.get_run(run.info.run_id).info.status == "RUNNING"
        images = images_of(classifier.preprocessing.shape, 5)
        with torch.inference_mode():
            expected = classifier(images).float().numpy()
        models[name] = Logged(folder / "artifacts" / "models" / model_id / "artifacts", files, images.numpy(), expected)
    return models


@pytest.mark.e2e
def test_all_are_loaded_in_one_process_without_archsearch(logged: dict[str, Logged], tmp_path: Path) -> None:
    models = [*logged.values(), logged["grey"]]
    np.savez(tmp_path / "images.npz", *[model.images for model in models])
    command = [sys.executable, "-I", "-c", BARE, *[str(model.folder) for model in models]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    computed = list(np.load(tmp_path / "logits.npz").values())
    for logits, model in zip(computed, models, strict=True):
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, model.expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(computed[0], computed[1])


@pytest.mark.e2e
def test_mlflow_knows_what_they_take_and_give_and_need(logged: dict[str, Logged]) -> None:
    import mlflow

    with restored_mlflow():
        model = mlflow.models.Model.load(str(logged["colour"].folder))
    assert model.metadata == {"class_names": list(CLASSES)}
    signature = model.signature.to_dict()
    assert '"dtype": "uint8", "shape": [-1, 20, 18, 3]' in signature["inputs"]
    assert '"dtype": "float32", "shape": [-1, 3]' in signature["outputs"]
    needs = {name: (model.folder / "requirements.txt").read_text() for name, model in logged.items()}
    assert "torch==" in needs["colour"] and "safetensors==" in needs["colour"]
    assert "torch==" in needs["network of one's own"] and "safetensors" not in needs["network of one's own"]


def test_a_network_of_torchs_and_archsearchs_layers_becomes_a_source_file_that_names_no_other_module() -> None:
    _, files = from_blocks(GREY)
    assert set(files.code) == {"__init__.py", "my_net.py"} and files.weights == "my_net.safetensors"
    assert files.code["my_net.py"].startswith('"""my-net seed=1: 28x28 images')
    assert "class MyNet(nn.Module)" in files.code["my_net.py"] and "archsearch" not in "".join(files.code.values())


def test_packages_of_other_code_have_other_names() -> None:
    names = [from_blocks(shape, seed)[1].package for shape, seed in ((GREY, 1), (GREY, 1), (GREY, 2), (COLOUR, 1))]
    assert names[0] == names[1] and len(set(names)) == 3
    assert all(name.isidentifier() and name.startswith("my_net_") for name in names)
