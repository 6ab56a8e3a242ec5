"""The reference net and images that lie on a device, for benchmarks on machines with torch and little else.

Needs torch, numpy, pydantic, PyYAML and filelock; neither Hydra nor MLflow.
"""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from archsearch.data.batches import ImageSet
from archsearch.data.files import missing_files
from archsearch.data.info import DATASETS
from archsearch.data.load import Dataset, load
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model
from archsearch.training.device import device_name
from archsearch.training.trainer import Splits

CONF = Path(__file__).resolve().parent.parent / "conf"
MNIST = DATASETS["mnist"]


def reference_plan(dropout: float) -> Plan:
    """session4, with so much dropout wherever it has any."""
    model = yaml.safe_load((CONF / "model" / "session4.yaml").read_text())
    spec, problems = parse_model({**model, "dropout": dropout})
    assert spec is not None, problems
    return plan(spec, MNIST.shape, len(MNIST.classes))


def mnist() -> tuple[Dataset, bool]:
    """MNIST from the folder that ARCHSEARCH_DATA names, or random bytes of the same shape; and whether it is real."""
    root = Path(os.environ.get("ARCHSEARCH_DATA", "data"))
    if not missing_files(MNIST, root):
        return load(MNIST, root), True
    print(f"NOTE: no MNIST in {root} (ARCHSEARCH_DATA names its folder): random bytes of the same shape instead")
    random = np.random.default_rng(0)

    def draw(high: int, *shape: int) -> Any:
        return random.integers(high, size=shape, dtype=np.uint8)

    sizes = MNIST.train_images, MNIST.test_images
    train, test = (draw(256, size, *MNIST.shape) for size in sizes)
    return Dataset(MNIST, train, draw(10, sizes[0]), test, draw(10, sizes[1])), False


def splits_of(data: Dataset, device: torch.device, channels_last: bool, images: int | None = None) -> Splits:
    """All images on `device`; so many of the training set (some twice, if there are not enough), nothing held out."""
    train = ImageSet.of(MNIST, data.train_images, data.train_labels, device, channels_last)
    if images is not None:
        train = train.only(np.arange(images) % len(train))
    return Splits(train, None, ImageSet.of(MNIST, data.test_images, data.test_labels, device, channels_last))


def environment(device: torch.device) -> dict[str, Any]:
    """Hardware and versions, for a result's file."""
    cuda = device.type == "cuda"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": device_name(device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
    }


def write(path: Path | None, result: dict[str, Any]) -> None:
    """Write a result where it is wanted."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n")
