"""`data=parquet`: image data sets as Hugging Face writes them, each image as the bytes of a file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.data.own.collection import TEST, TRAIN, VALIDATION, Collection, class_numbers, numbers_of
from archsearch.data.own.split import with_test_part
from archsearch.errors import DataError

# How names of files or of their folders begin, in any case.
_PARTS = {"train": TRAIN, "val": VALIDATION, "test": TEST}
_IMAGES = ("image", "img")  # columns, before others that hold bytes
_LABELS = ("label", "labels", "fine_label", "class")  # columns, if the metadata name none
_ROWS = 256  # images in memory at once, beside those that are being decoded


def files_of(path: Path) -> list[Path]:
    """The Parquet files of `path`, a file or a folder, in order. Raises `DataError` if there are none."""
    if path.is_file():
        return [path]
    found = sorted(path.rglob("*.parquet"))
    files = [file for file in found if not any(part[0] == "." for part in file.relative_to(path).parts)]
    if not files:
        raise DataError(f"data.path={path}: must be a Parquet file, or a folder with .parquet files, is neither")
    return files


def collect(path: Path) -> Collection:
    """The images and labels of `path`. Raises `DataError` if it has none."""
    files = files_of(path)
    values, parts, names, notes = [], [], [], []
    columns, classes = _columns(files[0])
    kept = []
    for file in files:
        labels = _labels(file, columns[1])
        if not len(labels):
            continue
        if labels.dtype.kind == "i" and (labels == -1).all():  # Hugging Face's mark
            notes.append(f"{file.name} has no labels")
            continue
        kept.append(file)
        values.append(labels)
        parts.append(np.full(len(labels), _part(file.relative_to(path)) if path.is_dir() else TRAIN))
        names += [f"{file.name}, row {row}" for row in range(len(labels))]
    if not names:
        raise DataError(f"data.path={path}: no labelled images")
    merged = np.concatenate(values)
    if classes:
        numbers = numbers_of(merged, classes, f"data.path={path}")
    else:
        classes, numbers = class_numbers(merged, f"data.path={path}: column {columns[1]}")

    def read() -> Iterator[bytes]:
        for file in kept:
            yield from _images(file, columns[0])

    chosen = with_test_part(names, numbers, np.concatenate(parts))
    return Collection(classes, names, numbers, chosen, read=read, notes=tuple(notes))


def _part(file: Path) -> int:
    for name in (file.name, file.parent.name):
        for prefix, part in _PARTS.items():
            if name.lower().startswith(prefix):
                return part
    return TRAIN


@contextmanager
def _open(file: Path) -> Iterator[Any]:
    """The Parquet file `file`. Raises `DataError` for what goes wrong while it is read."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as content:
            yield content
    except DataError:
        raise
    except (OSError, ValueError, LookupError, ArrowException) as error:  # a missing column is a KeyError
        raise DataError(f"{file}: cannot be read as Parquet: {error}") from error


def _columns(file: Path) -> tuple[tuple[str, str], tuple[str, ...]]:
    """The columns of images and labels, and the names of the classes, if the metadata have them."""
    from pyarrow import types

    binary = (types.is_binary, types.is_large_binary, types.is_binary_view)
    with _open(file) as content:
        schema = content.schema_arrow
    names: dict[str, tuple[str, ...]] = {}
    with suppress(LookupError, ValueError, TypeError, AttributeError):  # not from Hugging Face
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = {name: tuple(map(str, feature["names"])) for name, feature in features.items() if "names" in feature}
    images = [
        field.name
        for field in schema
        if any(matches(field.type) for matches in binary)
        or (types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
    ]
    images.sort(key=lambda name: name not in _IMAGES)
    labels = [name for name in (*names, *_LABELS) if name in schema.names]
    if not images or not labels:
        rule = "must have a column with the bytes of image files, and one named label"
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise DataError(f"{file}: {rule}, got the columns {columns}")
    return (images[0], labels[0]), names.get(labels[0], ())


def _labels(file: Path, column: str) -> NDArray[Any]:
    with _open(file) as content:
        labels = content.read(columns=[column]).column(column)
        if labels.null_count:
            raise DataError(f"{file}: {labels.null_count:,} images have no label")
        values = np.asarray(labels.to_pylist())
    return values.astype(np.int64) if values.dtype.kind in "iu" else values


def _images(file: Path, column: str) -> Iterator[bytes]:
    with _open(file) as content:
        for batch in content.iter_batches(_ROWS, columns=[column]):
            for value in batch.column(column).to_pylist():
                yield (value.get("bytes") if isinstance(value, dict) else value) or b""
