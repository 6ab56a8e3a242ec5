"""NumPy archives and files in MNIST's format."""

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.config.settings import DataSettings
from archsearch.data.catalogue import FILES
from archsearch.data.load import Dataset, load
from archsearch.data.own.dataset import own_dataset
from archsearch.errors import DataError
from tests.data.test_files import idx

GREY = np.random.default_rng(0).integers(0, 256, (24, 7, 9), dtype=np.uint8)
COLOUR = np.random.default_rng(0).integers(0, 256, (24, 7, 9, 3), dtype=np.uint8)
LABELS = np.arange(24) % 3
NAMES = np.array(["cat", "dog", "eel"])


def read(path: Path, **arrays: Any) -> Dataset:
    """The data set of an archive with these `arrays`, or of `path` if there are none."""
    if arrays:
        path = path / "own.npz"
        np.savez_compressed(path, **arrays)
    return load(own_dataset(DataSettings(name="arrays", path=str(path))), path)


def test_images_and_labels_are_split_by_the_fixed_rule(tmp_path: Path) -> None:
    data = read(tmp_path, images=GREY, labels=LABELS)
    assert (data.info.title, data.info.classes, data.info.shape) == ("own.npz", ("0", "1", "2"), (1, 7, 9))
    assert np.bincount(data.test_labels).tolist() == [1, 1, 1] and data.train_images.shape == (21, 1, 7, 9)


@pytest.mark.parametrize("channels_first", [False, True])
def test_a_test_part_is_kept(tmp_path: Path, channels_first: bool) -> None:
    images = COLOUR.transpose(0, 3, 1, 2) if channels_first else COLOUR
    data = read(tmp_path, x_train=images[:20], y_train=LABELS[:20, None], x_test=images[20:], y_test=LABELS[20:])
    np.testing.assert_array_equal(data.train_images, COLOUR[:20].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(data.test_labels, LABELS[20:])


def test_classes_have_the_names_that_are_given(tmp_path: Path) -> None:
    for names in (NAMES, NAMES.astype(bytes)):
        assert read(tmp_path, images=GREY, labels=names[LABELS]).info.classes == ("cat", "dog", "eel")
        named = read(tmp_path, images=GREY, labels=LABELS, classes=names[::-1])
        assert named.info.classes == ("eel", "dog", "cat")


def test_more_than_256_classes_keep_their_labels(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(300), 3)
    data = read(tmp_path, images=np.zeros((900, 2, 2), np.uint8), labels=labels)
    assert len(data.info.classes) == 300 and data.train_labels.max() == 299 and data.info.std == (1.0,)


def test_other_arrays_are_not_read(tmp_path: Path) -> None:
    assert read(tmp_path, images=GREY, labels=LABELS, about=np.array({"by": "me"})).info.train_images == 21


def test_numbers_from_0_to_1_become_bytes(tmp_path: Path) -> None:
    data = read(tmp_path, images=GREY / 255, labels=LABELS)
    assert {bytes(image) for image in data.train_images} <= {bytes(image) for image in GREY}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": LABELS}, "images is missing, got labels"),
        ({"pictures": GREY}, "must have images and labels .* got pictures"),
        ({"images": GREY, "labels": LABELS[:5]}, "got 24 images and 5 labels, must be equally many"),
        ({"images": GREY * 300.0, "labels": LABELS}, "images: got float64 from 0.0 to 76500.0, must be uint8, or"),
        ({"images": GREY[..., None, None], "labels": LABELS}, "images: got shape 24 x 7 x 9 x 1 x 1, must be"),
        ({"images": GREY, "labels": LABELS / 2}, "labels: must be one integer or text an image, got float64"),
        ({"images": GREY, "labels": LABELS, "classes": ["a", "b"]}, "must be integers from 0 to 1, got 0 to 2"),
        ({"images": GREY, "labels": LABELS - 1, "classes": ["a", "b", "c"]}, "from 0 to 2, got -1 to 1"),
        ({"images": GREY, "labels": NAMES[LABELS], "classes": NAMES}, "must be integers from 0 to 2, got <U3"),
        ({"images": GREY, "labels": LABELS, "classes": ["a", "b", "a"]}, "classes must be a list of different names"),
        ({"images": GREY, "labels": LABELS, "classes": 3}, "classes must be a list of different names, got 3"),
        ({"images": GREY, "labels": 3}, "got 24 images and 1 labels, must be equally many"),
        ({"images": GREY.astype(str), "labels": LABELS}, "images: got <U3, must be uint8, or"),
        ({"images": GREY, "labels": np.array([b"\xff", b"b", b"c"])[LABELS]}, r"class '\\udcff' must be valid UTF-8"),
        ({"images": GREY, "labels": LABELS * 0}, "must have images of two classes or more, got those of 1"),
        ({"images": GREY, "labels": np.array(["", "b", "c"])[LABELS]}, "a class must have a name, got the label ''"),
        ({"images": GREY, "labels": NAMES[LABELS].astype(object)}, r"labels holds Python objects.*array.astype\(str\)"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, "images: got shape 0 x 7 x 9, must be .* and none of them 0"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, **arrays)


def test_own_images_in_mnists_layout_are_read(tmp_path: Path) -> None:
    labels = LABELS.astype(np.uint8)
    for name, array in zip(FILES, (GREY[:18], labels[:18], GREY[18:], labels[18:]), strict=True):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    data = read(tmp_path)
    np.testing.assert_array_equal(data.train_images[:, 0], GREY[:18])
    np.testing.assert_array_equal(data.test_labels, LABELS[18:])


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "damaged.npz", images=GREY, labels=LABELS)
    content = bytearray((tmp_path / "damaged.npz").read_bytes())
    content[60:64] = b"\xff" * 4  # of the first compressed block
    (tmp_path / "damaged.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.npz: cannot be read as a NumPy archive: Error -3"):
        read(tmp_path / "damaged.npz")
    np.save(tmp_path / "single.npy", GREY)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(LABELS))
    (tmp_path / "x.npz").write_bytes(b"PK of nothing")
    for name in ("single.npy", "pickle.npz", "x.npz"):
        with pytest.raises(DataError, match=rf"{name}: must be a whole NumPy archive \(.npz\), as np.savez writes it$"):
            read(tmp_path / name)
    with pytest.raises(DataError, match=r"y.npz: must be a NumPy archive .*, is neither"):
        read(tmp_path / "y.npz")
