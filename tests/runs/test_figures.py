"""The figures of a run, for images and classes of any kind."""

import io
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from archsearch.report.pictures import thumbnail
from archsearch.runs.figures import draw_augmented, draw_confusion, draw_mistakes


def share_of(colour: tuple[float, float, float], picture: NDArray[np.float32]) -> float:
    return float((np.abs(picture[..., :3] - colour) < 0.02).all(axis=2).mean())


@pytest.mark.parametrize(("channels", "colour"), [(1, (0.0, 0.0, 0.0)), (3, (1.0, 0.0, 0.0))])
def test_worst_mistakes_are_shown_in_colour_or_dark_on_light(
    tmp_path: Path, channels: int, colour: tuple[float, float, float]
) -> None:
    images = np.zeros((6, channels, 20, 30), np.uint8)
    images[:, 0] = 255  # red, or the brightest grey
    labels, predictions = np.zeros(6, np.int64), np.ones(6, np.int64)
    draw_mistakes(
        tmp_path / "x.png", images, labels, predictions, np.linspace(0, 1, 6, dtype="f"), ("a cat", "a dog"), "title"
    )
    assert share_of(colour, imread(tmp_path / "x.png")) > 0.1


def test_thumbnails_have_the_colours_of_their_image() -> None:
    image = np.zeros((3, 5, 7), np.uint8)
    image[2] = 255
    picture = imread(io.BytesIO(b64decode(thumbnail(image).partition(",")[2])))
    assert picture.shape[:2] == (5, 7) and share_of((0, 0, 1), picture) == 1
    grey = imread(io.BytesIO(b64decode(thumbnail(image[2:]).partition(",")[2])))
    assert share_of((0, 0, 0), grey) == 1


def test_a_confusion_matrix_of_many_classes_fits_a_screen(tmp_path: Path) -> None:
    confusion = np.random.default_rng(0).integers(0, 9, (150, 150))
    draw_confusion(tmp_path / "x.png", confusion, [f"class {number}" for number in range(150)], "title")
    assert max(imread(tmp_path / "x.png").shape) < 2000


@pytest.mark.parametrize(("height", "width"), [(10, 60), (30, 30), (60, 10)])
def test_a_picture_of_augmentation_has_the_form_of_its_images(height: int, width: int, tmp_path: Path) -> None:
    images = np.zeros((6, 3, height, width), np.uint8)
    draw_augmented(tmp_path / "x.png", images, np.stack([images] * 7), "flip p=0.5", "title")
    is_image = imread(tmp_path / "x.png")[..., :3].max(axis=2) < 0.02
    rows, columns = is_image.mean(axis=1) > 0.1, np.flatnonzero(is_image.mean(axis=0) > 0.1)
    assert rows.mean() > 0.3  # most of it is not empty
    assert columns[-1] - columns[0] > 0.85 * is_image.shape[1]  # so that the names of the columns have room
