"""The accuracies of the reference's recipe and of the default one on the real MNIST. Run with -m slow."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import train_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def train(folder: Path, mnist_root: Path, *overrides: str) -> dict[str, Any]:
    return train_in(folder, "data=mnist", f"data.root={mnist_root}", "tracking=none", *overrides)


def test_the_reference_is_reproduced(workspace: Path, mnist_root: Path) -> None:
    result = train(workspace / "run", mnist_root, "experiment=eva6_session4")
    accuracies = [row["test/accuracy"] for row in result["history"]]
    assert result["params"] == 12_954 and len(accuracies) == 19
    assert accuracies[-1] >= 99.35 and max(accuracies) >= 99.40


def test_the_default_recipe_reaches_its_accuracy(workspace: Path, mnist_root: Path) -> None:
    results = [train(workspace / str(seed), mnist_root, f"seed={seed}") for seed in (1, 2, 3)]
    assert all(result["epochs"] <= 8 for result in results)
    assert statistics.mean(result["final"]["test/accuracy"] for result in results) >= 99.35
