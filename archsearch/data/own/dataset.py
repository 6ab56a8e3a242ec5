"""Finds and describes a data set of a person's own. What is decoded once stays in the cache."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.config.settings import DataSettings
from archsearch.data.formats import Bytes
from archsearch.data.info import DatasetInfo
from archsearch.data.own import arrays, folder, parquet
from archsearch.data.own.cache import (
    Entry,
    content_hash,
    images_file,
    locked_entry,
    new_entry,
    read_entry,
    set_aside,
    statistics,
    write_info,
    write_labels,
)
from archsearch.data.own.collection import TEST, TRAIN, VALIDATION, Collection, some
from archsearch.errors import DataError
from archsearch.system.memory import note_memory, readable_size

log = logging.getLogger(__name__)

_ROWS = 4096  # images copied at once
_FORMAT = 3  # of the cache; incremented when the same files give another entry


def own_dataset(data: DataSettings) -> DatasetInfo:
    """The data set that `data` name, decoded into the cache unless it is there.

    Every call looks at names, sizes and modification times of its files. Raises `DataError` and `ConfigError` if they
    are no data set, and `StorageError` if the cache cannot be written.
    """
    name = _fingerprint(data)
    entry = read_entry(name)
    if entry is None:
        with locked_entry(name):
            entry = read_entry(name) or _build(data, name)  # another process may have written it
    _say(name, entry.notes)
    return replace(entry.info, name=data.name, title=_source(data).resolve().name, cache=name)


@once
def _say(_: str, notes: tuple[str, ...]) -> None:
    """Warn of what is left out, once per process."""
    for note in notes:
        log.warning("WARNING: %s", note)


def _source(data: DataSettings) -> Path:
    return Path(data.root if data.name == "image_folder" else data.path or "")


def _place(data: DataSettings) -> str:
    """The setting that names the source, with its value, for messages."""
    return f"data.{'root' if data.name == 'image_folder' else 'path'}={_source(data)}"


def _fingerprint(data: DataSettings) -> str:
    """A hash of the files' names, sizes and modification times, and of the settings that say how they are decoded."""
    source = _source(data)
    if data.name == "image_folder":
        states = folder.scan(source)
    else:
        files = (arrays if data.name == "arrays" else parquet).files_of(source)
        states = [(str(file.relative_to(source.parent)), *_state(file)) for file in files]
    content = json.dumps([_FORMAT, data.name, data.size, data.channels, states])
    return hashlib.blake2b(content.encode(), digest_size=10).hexdigest()


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _collect(data: DataSettings) -> Collection:
    source = _source(data)
    if data.name == "image_folder":
        return folder.collect(source, folder.scan(source))
    if data.name == "parquet":
        return parquet.collect(source)
    note_memory(arrays.unpacked_size(source), f"reading {source}")
    return arrays.collect(source)


def _build(data: DataSettings, name: str) -> Entry:
    from archsearch.data.own.decode import common_shape, decoded  # imports Pillow, which public data sets do not need

    collection = _collect(data)
    _check_classes(collection.classes, _place(data))
    shape = common_shape(collection, data)
    order = np.argsort(collection.parts, kind="stable")
    rows = np.empty_like(order)
    rows[order] = np.arange(len(order))
    with new_entry(name) as scratch:
        size = len(rows) * int(np.prod(shape))
        log.info("decoding %s images (%s) into %s", f"{len(rows):,}", readable_size(size), scratch.parent)
        images = images_file(scratch, (len(rows), *shape))
        broken: dict[int, str] = {}
        for number, pixels in enumerate(decoded(collection, shape)):
            if isinstance(pixels, str):
                broken[number] = pixels
            else:
                images[rows[number]] = pixels
        whole = np.array([number for number in order if number not in broken], np.int64)
        labels, parts = collection.labels[whole], collection.parts[whole]
        _check_parts(collection, labels, parts, _place(data), broken)
        if broken:
            images = _without(scratch, images, np.sort(rows[list(broken)]))
        labels = labels.astype(np.uint8 if len(collection.classes) <= 256 else np.int64)
        write_labels(scratch, labels)
        info = _described(data, collection, images, labels, parts, shape)
        entry = Entry(info, (*collection.notes, *_named(collection, broken)))
        write_info(scratch, entry)
    return entry


def _check_classes(classes: Sequence[str], source: str) -> None:
    """Raise `DataError` unless there are two or more, with names that differ and are valid Unicode.

    Lone surrogates can be neither written nor drawn.
    """
    if len(classes) < 2:
        raise DataError(f"{source}: must have images of two classes or more, got those of {len(classes)}")
    for name, amount in Counter(classes).items():
        if amount > 1:
            raise DataError(f"{source}: classes must have different names, got {name!r} {amount} times")
        if not name.strip():
            raise DataError(f"{source}: a class must have a name, got the label {name!r}")
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{source}: the name of class {name!a} must be valid UTF-8; rename it") from error


def _check_parts(
    collection: Collection, labels: NDArray[np.int64], parts: NDArray[np.int64], source: str, broken: dict[int, str]
) -> None:
    """Raise `DataError` unless there are training images of every class, and test images."""
    amounts = np.bincount(labels[parts == TRAIN], minlength=len(collection.classes))
    lacking = [name for name, amount in zip(collection.classes, amounts, strict=True) if not amount]
    if lacking or not (parts == TEST).any():
        subject = f"training images of {some(lacking)}" if lacking else "test images"
        problem = f"; {_named(collection, broken)[0]}" if broken else ""
        raise DataError(f"{source}: has no {subject}, must have some of every class{problem}")


def _without(scratch: Path, images: Bytes, rows: NDArray[np.int64]) -> Bytes:
    """The images of the entry in `scratch` without those at `rows`."""
    everything = set_aside(scratch)
    kept = np.delete(np.arange(len(images)), rows)
    whole = images_file(scratch, (len(kept), *images.shape[1:]))
    for start in range(0, len(kept), _ROWS):
        whole[start : start + _ROWS] = images[kept[start : start + _ROWS]]
    everything.unlink()
    return whole


def _named(collection: Collection, broken: dict[int, str]) -> tuple[str, ...]:
    """What was left out because it cannot be read."""
    if not broken:
        return ()
    names = [f"{collection.names[number]} ({reason})" for number, reason in broken.items()]
    return (
        f"{len(broken):,} of {len(collection.names):,} images left out, because they cannot be read: {some(names)}",
    )


def _described(
    data: DataSettings,
    collection: Collection,
    images: Bytes,
    labels: NDArray[Any],
    parts: NDArray[np.int64],
    shape: tuple[int, int, int],
) -> DatasetInfo:
    amounts = np.bincount(parts, minlength=TEST + 1)
    count = int(amounts[TRAIN] + amounts[VALIDATION])
    mean, std = statistics(images[: amounts[TRAIN]])
    return DatasetInfo(
        name=data.name,
        title=data.name,
        classes=collection.classes,
        shape=shape,
        train_images=count,
        test_images=int(amounts[TEST]),
        mean=mean,
        std=std,
        validation_images=int(amounts[VALIDATION]),
        class_sizes=tuple(np.bincount(labels[:count], minlength=len(collection.classes)).tolist()),
        content=content_hash(images[:count], labels[:count], images[count:], labels[count:]),
    )
