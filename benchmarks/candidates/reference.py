"""What the candidates share: arguments, network, data, timing, and the line of JSON that each prints.

torch is imported late: the time to the first step counts from the start of the process, and Keras may not need torch.
Nothing here imports archsearch, which a rival's environment may not have.
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
EPOCHS, TRAINING_IMAGES = 19, 60_000
BEGAN = "BENCHMARK_BEGAN"  # environment variable: when the candidate was started, in seconds since 1970
SKIPPED = 77  # exit status if something that the candidate needs is not installed


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of every candidate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True, help="folder of the data sets, with MNIST/raw in it")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--precision", default="auto", help="of archsearch; rivals compute in float32")
    return parser.parse_args(argv)


def require(*packages: str) -> None:
    """Exit with status `SKIPPED` unless all `packages` are installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        print(f"{', '.join(missing)} is not installed; see benchmarks/requirements.txt", file=sys.stderr)
        raise SystemExit(SKIPPED)


def network() -> Any:
    """The reference network, as in the course's notebook."""
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
    """DataLoaders of the first `images` training images and of the test set. Transforms are applied image by image."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (DEVIATION,))])
    train = Subset(datasets.MNIST(root, train=True, transform=transform), range(images))
    test = datasets.MNIST(root, train=False, transform=transform)
    return DataLoader(train, batch_size=BATCH, shuffle=True), DataLoader(test, batch_size=BATCH)


class Clock:
    """Measures the seconds of training, of evaluation, and to the end of the first step."""

    def __init__(self) -> None:
        self.first_step: float | None = None
        self.training = self.evaluation = self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()

    def step(self) -> None:
        """Record the end of the first training step; later calls do nothing."""
        if self.first_step is None:
            self.first_step = time.time() - float(os.environ.get(BEGAN, "nan"))

    def trained(self) -> None:
        self.training = time.perf_counter() - self._began

    def evaluated(self) -> None:
        self.evaluation = time.perf_counter() - self._began


def emit(options: argparse.Namespace, clock: Clock, *, params: int, correct: int, tested: int, **more: Any) -> None:
    """Print the candidate's line of JSON; `more` is added to it."""
    row = {
        "images_per_second": options.epochs * options.images / clock.training,
        "evaluation_images_per_second": tested / clock.evaluation,
        "test_accuracy": 100 * correct / tested,
        "params": params,
        "train_images": options.images,
        "test_images": tested,
        "images_trained": options.epochs * options.images,
        "training_seconds": clock.training,
        "evaluation_seconds": clock.evaluation,
        "seconds_to_first_step": clock.first_step,
        "peak_rss_bytes": peak_rss(resource.getrusage(resource.RUSAGE_SELF)),
        "seed": options.seed,
    }
    print(json.dumps({**row, **more}), flush=True)


def peak_rss(usage: resource.struct_rusage) -> int:
    """Peak memory in bytes. macOS reports bytes, Linux KiB."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and `packages`."""
    installed = {"python": platform.python_version()}
    for package in packages:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "not installed"
    return installed
