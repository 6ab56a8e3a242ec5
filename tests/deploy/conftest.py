"""A trained run that several tests look at, and pictures of digits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archsearch.data.catalogue import DATASETS
from archsearch.data.load import load
from tests.support.requests import QUICK
from tests.support.runs import RUN, UNRECORDED, isolated, train_in


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `RUN` was trained on digits, without a record."""
    folder = tmp_path_factory.mktemp("trained")
    with isolated(folder):
        train_in(RUN, *QUICK, *UNRECORDED)
    return folder


@pytest.fixture
def trained(trained_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the working directory. What a test writes goes elsewhere."""
    monkeypatch.chdir(trained_once)
    return trained_once


@pytest.fixture(scope="session")
def digits() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The test images of digits, uint8 (N, 28, 28)."""
    return np.array(load(DATASETS["digits"], Path("unused")).test_images[:, 0])


@pytest.fixture
def pictures(digits: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], tmp_path: Path) -> Path:
    """A folder with ten digits as PNG, in two folders, and files that are no images."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for number, image in enumerate(digits[:10]):
        Image.fromarray(image).save(folder / ("more" if number > 6 else "") / f"{number}.png")
    (folder / "notes.txt").write_text("no image")
    Image.fromarray(digits[0]).save(folder / ".hidden" / "x.png")
    return folder
