"""Images and torch settings for tests of training."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from archsearch.data.catalogue import DATASETS
from archsearch.data.load import Dataset, load


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load(DATASETS["digits"], Path("unused"))


@pytest.fixture(scope="session")
def few(digits: Dataset) -> Dataset:
    """With the overrides `FEW`: 70 training images in batches of 32, 32 and 6, 20 held out, 50 for the test."""
    return Dataset(
        digits.info,
        digits.train_images[:90],
        digits.train_labels[:90],
        digits.test_images[:50],
        digits.test_labels[:50],
    )


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Compute in float64, so that equal numbers agree to ten digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch use one thread, so that layers are fused."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
