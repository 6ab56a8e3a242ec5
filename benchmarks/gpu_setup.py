"""What the GPU benchmarks share: options, the reference network, and images on the device.

Needs torch, numpy, pydantic, PyYAML and filelock, but neither Hydra nor MLflow.
"""

import argparse
import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from arguments import data_root
from summary import Row

from archsearch.config.settings import TrainerSettings
from archsearch.data.batches import ImageSet
from archsearch.data.catalogue import DATASETS
from archsearch.data.files import missing_files
from archsearch.data.load import Dataset, load
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model
from archsearch.system.process import keep_freed_memory
from archsearch.training.device import device_name, pick_device
from archsearch.training.metrics import EpochMetrics
from archsearch.training.trainer import Splits

CONF = Path(__file__).resolve().parent.parent / "conf"
MNIST = DATASETS["mnist"]


def add_options(parser: argparse.ArgumentParser, *, device: str, rounds: int) -> None:
    """Add the options of both GPU benchmarks."""
    parser.add_argument("--device", default=device)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--cudnn-benchmark", action="store_true")
    parser.add_argument("--json", type=Path, help="file for the results")


def prepare(options: argparse.Namespace) -> torch.device:
    """Configure this process as `options` say; returns the device."""
    torch.backends.cudnn.benchmark = options.cudnn_benchmark
    keep_freed_memory()
    return pick_device(options.device)


def trainer_settings(options: argparse.Namespace, epochs: int, **more: Any) -> TrainerSettings:
    """The settings of a trainer that follow from `options`."""
    return TrainerSettings(
        epochs=epochs,
        batch_size=options.batch_size,
        precision=options.precision,
        channels_last=options.channels_last,
        compile=options.compile,
        **more,
    )


def reference_plan(dropout: float) -> Plan:
    """The plan of session4, with `dropout` in every block that has any."""
    model = yaml.safe_load((CONF / "model" / "session4.yaml").read_text())
    spec, problems = parse_model({**model, "dropout": dropout})
    assert spec is not None, problems
    return plan(spec, MNIST.shape, len(MNIST.classes))


def load_mnist() -> tuple[Dataset, bool]:
    """MNIST and True; without the files random bytes of the same shape and False."""
    root = data_root()
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
    """All images on `device`, nothing held out. `images` is the size of the training set; images repeat if needed."""
    train = ImageSet.of(MNIST, data.train_images, data.train_labels, device, channels_last)
    if images is not None:
        train = train.only(np.arange(images) % len(train))
    return Splits(train, None, ImageSet.of(MNIST, data.test_images, data.test_labels, device, channels_last))


def metrics_of(epoch: EpochMetrics | list[Any]) -> list[EpochMetrics]:
    """An epoch's metrics, one per member of a stack. Raises the error of a member that failed."""
    members = epoch if isinstance(epoch, list) else [epoch]
    for metrics in members:
        if not isinstance(metrics, EpochMetrics):
            raise metrics
    return members


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement of peak memory on `device`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Bytes allocated on `device` at most, None on the CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def environment(device: torch.device) -> Row:
    """Hardware and versions, for the results file."""
    cuda = device.type == "cuda"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": device_name(device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": torch.backends.cudnn.version() if cuda else None,  # type: ignore[no-untyped-call]
    }


def write(options: argparse.Namespace, device: torch.device, real: bool, **result: Any) -> None:
    """Write the results file, if `--json` names one. `real` tells whether the images are those of MNIST."""
    if options.json is not None:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        content = {**environment(device), "options": settings, "mnist": real, **result}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
