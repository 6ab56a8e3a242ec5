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


@pytest.mark.parametrize(("height", "width"), [(16, 64), (32, 32), (64, 16)])
def test_what_is_above_an_image_covers_no_other(tmp_path: Path, height: int, width: int) -> None:
    classes = ("Tomato___Tomato_Yellow_Leaf_Curl_Virus", "Pepper__bell___Bacterial_spot")
    images = np.zeros((16, 3, height, width), np.uint8)
    images[:, 0] = 255
    labels = np.arange(16) % 2
    draw_mistakes(tmp_path / "x.png", images, labels, 1 - labels, np.ones(16, "f"), classes, "title")
    picture = imread(tmp_path / "x.png")[..., :3]
    is_red: NDArray[np.bool_] = np.abs(picture - (1, 0, 0)).max(axis=2) < 0.02
    rows, columns = is_red.max(axis=1), is_red.max(axis=0)
    assert is_red[rows][:, columns].mean() > 0.95  # nothing is written over an image
    is_ink = picture.min(axis=2) < 0.5
    gaps = np.flatnonzero(~is_ink[40:].max(axis=0))  # between neighbours
    assert len(np.flatnonzero(np.diff(gaps) > 60)) == 8


def test_names_of_any_kind_are_drawn(tmp_path: Path) -> None:
    classes = (r"$\bad$ _^$", "line\nbreak", "森林", "x" * 90)
    draw_confusion(tmp_path / "x.png", np.ones((4, 4), np.int64), classes, r"$\frac$")
    images, labels = np.zeros((4, 1, 9, 9), np.uint8), np.arange(4)
    draw_mistakes(tmp_path / "y.png", images, labels, labels[::-1], np.ones(4, "f"), classes, r"$\frac$")
    assert imread(tmp_path / "x.png").shape[0] > 400 and imread(tmp_path / "y.png").shape[0] > 100


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
