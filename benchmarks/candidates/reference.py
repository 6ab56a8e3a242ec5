"""What the candidates share: arguments, the network, the data, and what each of them prints.

torch is imported late: the clock of the first step runs from the start of the process, and Keras may do without torch.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

PARAMS, BATCH, LR, MOMENTUM = 12_954, 128, 0.01, 0.9
MEAN, DEVIATION = 0.1307, 0.3081
TRAINING_IMAGES = 60_000
SKIPPED = 77  # runner.SKIPPED, without importing archsearch into a rival's process


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What every candidate is told: all of them the same."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True, help="folder of the data sets, with MNIST/raw in it")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(words)


def require(*packages: str) -> None:
    """End as skipped unless all of `packages` are installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        print(f"{', '.join(missing)} is not installed; benchmarks/requirements.txt has it", file=sys.stderr)
        raise SystemExit(SKIPPED)


def network() -> Any:
    """The reference net, as its notebook has it."""
    from torch import nn

    def block(inputs: int, outputs: int, kernel: int, *rest: nn.Module) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, kernel), nn.ReLU(), nn.BatchNorm2d(outputs), *rest]

    def drop() -> nn.Module:
        return nn.Dropout2d(0.1)

    net = nn.Sequential(
        *block(1, 12, 3, drop()), *block(12, 12, 3, drop()), *block(12, 24, 3, drop()),
        *block(24, 12, 1, nn.AvgPool2d(2)), *block(12, 16, 3, drop()), *block(16, 32, 3, drop()),
        *block(32, 16, 1, nn.AvgPool2d(2)), nn.Flatten(), nn.Linear(144, 10), nn.LogSoftmax(dim=1),
    )  # fmt: skip
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMS
    return net


def loaders(root: str, images: int) -> tuple[Any, Any]:
    """The notebook's way to the images: torchvision, transformed one by one, in a DataLoader; training and test."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (DEVIATION,))])
    train = Subset(datasets.MNIST(root, train=True, transform=transform), range(images))
    test = datasets.MNIST(root, train=False, transform=transform)
    return DataLoader(train, batch_size=BATCH, shuffle=True), DataLoader(test, batch_size=BATCH)


class Clock:
    """Times training and evaluation, and the first step."""

    def __init__(self) -> None:
        self.first_step: float | None = None
        self.training = self.evaluation = self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()

    def step(self) -> None:
        """A training step is done."""
        if self.first_step is None:
            self.first_step = time.time() - float(os.environ.get("BENCHMARK_BEGAN", "nan"))

    def trained(self) -> None:
        self.training = time.perf_counter() - self._began

    def evaluated(self) -> None:
        self.evaluation = time.perf_counter() - self._began


def emit(asked: argparse.Namespace, clock: Clock, *, params: int, correct: int, tested: int, **more: Any) -> None:
    """Print a candidate's line of JSON."""
    row = {
        "images_per_second": asked.epochs * asked.images / clock.training,
        "evaluation_images_per_second": tested / clock.evaluation,
        "test_accuracy": 100 * correct / tested,
        "params": params,
        "train_images": asked.images,
        "test_images": tested,
        "images_trained": asked.epochs * asked.images,
        "training_seconds": clock.training,
        "evaluation_seconds": clock.evaluation,
        "seconds_to_first_step": clock.first_step,
        "peak_rss_bytes": peak_rss(resource.getrusage(resource.RUSAGE_SELF)),
        "seed": asked.seed,
    }
    print(json.dumps({**row, **more}), flush=True)


def peak_rss(usage: resource.struct_rusage) -> int:
    """In bytes: macOS counts these, Linux KiB."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def versions(*packages: str) -> dict[str, str]:
    """Of Python and `packages`."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
