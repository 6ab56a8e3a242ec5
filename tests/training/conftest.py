"""Images for tests of training."""

from pathlib import Path

import pytest

from archsearch.data.info import DATASETS
from archsearch.data.load import Dataset, load


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DATASETS["digits"], Path("unused"))


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """70 images to train on and 20 held out: batches of 32, 32 and 6."""
    return Dataset(
        digits.info,
        digits.train_images[:90],
        digits.train_labels[:90],
        digits.test_images[:50],
        digits.test_labels[:50],
    )
