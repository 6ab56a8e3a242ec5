"""A cache of their own for tests, and small data sets of a person's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImages = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(folder))
    return folder


@pytest.fixture
def write_images(tmp_path: Path) -> WriteImages:
    """Writes `count` PNG images of noise into a folder, by default of 12 x 10 pixels in colour."""

    def write(
        folder: str, count: int, size: tuple[int, int] = (12, 10), mode: str = "RGB", suffix: str = ".png"
    ) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(count)
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
        for number in range(count):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(path / f"{number:03}.png")
        return path

    return write


@pytest.fixture
def photographs(tmp_path: Path, write_images: WriteImages) -> Path:
    """A folder with 12 cats and 18 dogs."""
    write_images("photographs/dogs", 18)
    write_images("photographs/cats", 12)
    return tmp_path / "photographs"
