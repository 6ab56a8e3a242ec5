"""`data=arrays`: a NumPy archive (.npz), or a folder with files in MNIST's format."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.data.catalogue import FILES
from archsearch.data.formats import Bytes, FormatError, parse_idx, read_content
from archsearch.data.own.collection import TEST, TRAIN, VALIDATION, Collection, class_numbers, numbers_of, texts_of
from archsearch.data.own.split import with_test_part
from archsearch.errors import DataError

# Images and labels of each part; the second line is Keras's, the third MNIST's.
_NAMES = {
    TRAIN: (("images", "labels"), ("x_train", "y_train"), ("train_images", "train_labels")),
    VALIDATION: (("val_images", "val_labels"), ("x_val", "y_val")),
    TEST: (("test_images", "test_labels"), ("x_test", "y_test")),
}
_CLASSES = "classes"
_READ = {name for pairs in _NAMES.values() for pair in pairs for name in pair} | {_CLASSES}
_COLOURS = (1, 3)  # numbers of channels


def files_of(path: Path) -> list[Path]:
    """The files that hold the arrays of `path`. Raises `DataError` if there are none."""
    if path.is_file():
        return [path]
    files = [file for name in FILES for file in (path / name, path / f"{name}.gz") if file.is_file()]
    if not files:
        rule = "must be a NumPy archive (.npz), or a folder with files in MNIST's format"
        raise DataError(f"data.path={path}: {rule}, is neither")
    return files


def unpacked_size(path: Path) -> int:
    """The bytes that the arrays of `path` take in memory, as far as that is known before they are read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return sum(file.stat().st_size for file in files_of(path))


def collect(path: Path) -> Collection:
    """The arrays of `path`. Raises `DataError` if they are no labelled images."""
    arrays = _read_folder(path) if path.is_dir() else _read_archive(path)
    images: list[Bytes] = []
    values, parts = [], []
    for part, pairs in _NAMES.items():
        pair = next((pair for pair in pairs if pair[0] in arrays or pair[1] in arrays), None)
        if pair is None:
            continue
        missing = [name for name in pair if name not in arrays]
        if missing:
            raise DataError(f"{path}: {missing[0]} is missing, got {', '.join(arrays)}")
        pixels, labels = _pixels(arrays[pair[0]], f"{path}: {pair[0]}"), np.asarray(arrays[pair[1]])
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.ndim == 0 or len(pixels) != len(labels):
            raise DataError(
                f"{path}: got {len(pixels):,} {pair[0]} and {labels.size:,} {pair[1]}, must be equally many"
            )
        if images and pixels.shape[1:] != images[0].shape[1:]:
            shapes = f"{images[0].shape[1:]} and {pixels.shape[1:]}"
            raise DataError(f"{path}: images of all parts must have one shape, got {shapes}")
        images.append(pixels)
        values.append(labels)
        parts.append(np.full(len(labels), part))
    if not parts or parts[0][:1].tolist() != [TRAIN]:
        raise DataError(f"{path}: must have images and labels (or x_train and y_train), got {', '.join(arrays) or '-'}")
    labels = np.concatenate(values)
    if _CLASSES in arrays:
        classes = _class_names(arrays[_CLASSES], path)
        numbers = numbers_of(labels, classes, f"{path}: beside classes")
    else:
        classes, numbers = class_numbers(labels, f"{path}: labels")
    names = [f"image {number}" for number in range(len(numbers))]
    chosen = with_test_part(names, numbers, np.concatenate(parts))
    return Collection(classes, names, numbers, chosen, pixels=np.concatenate(images))


def _read_archive(path: Path) -> Mapping[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):  # NumPy would read a single array, or advise to unpickle
        raise DataError(f"{path}: must be a whole NumPy archive (.npz), as np.savez writes it")
    arrays, name = {}, ""
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name] if name in _READ else np.empty(0)  # others are only named
    except Exception as error:  # NumPy, zipfile and zlib raise nearly anything for damaged files
        if "Object arrays" in str(error):
            rule = "holds Python objects, which are not read: they could be code; save texts as array.astype(str)"
            raise DataError(f"{path}: {name} {rule}") from error
        raise DataError(f"{path}: cannot be read as a NumPy archive: {error}") from error
    return arrays


def _read_folder(path: Path) -> Mapping[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    keys = ("images", "labels", "test_images", "test_labels")
    for file in files_of(path):
        key, name = next((key, name) for key, name in zip(keys, FILES, strict=True) if file.name.startswith(name))
        try:
            arrays.setdefault(key, parse_idx(read_content(file), 3 if "images" in name else 1))
        except FormatError as error:
            raise DataError(f"{file}: {error}") from error
    return arrays


def _pixels(images: NDArray[Any], subject: str) -> Bytes:
    """`images` as bytes (N, channels, height, width)."""
    shape = " x ".join(map(str, images.shape))
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in _COLOURS:
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in _COLOURS or 0 in images.shape:
        rule = "must be images x height x width, or that x 1 or 3 channels, and none of them 0"
        raise DataError(f"{subject}: got shape {shape}, {rule}")
    if images.dtype == np.uint8:
        return np.asarray(images, np.uint8)
    if images.dtype.kind not in "biuf":
        raise DataError(f"{subject}: got {images.dtype}, must be uint8, or floating-point numbers from 0 to 1")
    if images.dtype.kind == "f" and images.min() >= 0 and images.max() <= 1:
        return np.asarray(np.rint(images * 255), np.uint8)
    limits = f"{images.dtype} from {images.min()} to {images.max()}"
    raise DataError(f"{subject}: got {limits}, must be uint8, or floating-point numbers from 0 to 1")


def _class_names(names: NDArray[Any], path: Path) -> tuple[str, ...]:
    classes = tuple(map(str, texts_of(names).tolist())) if names.ndim == 1 else ()
    if not classes or len(set(classes)) < len(classes):
        raise DataError(f"{path}: classes must be a list of different names, got {names.tolist()}")
    return classes
