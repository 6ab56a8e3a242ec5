"""The cache: data sets of a person's own as arrays, ready to be memory-mapped. It can be deleted at any time.

An entry is a folder, named for what it was made of: `images.npy` (N, channels, height, width) and `labels.npy` (N,)
with the training images first, then those for validation, then the test images; and `info.json`.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from archsearch.data.formats import Bytes
from archsearch.data.info import DatasetInfo
from archsearch.errors import DataError, StorageError
from archsearch.system.atomic import write_text

_IMAGES, _LABELS, _INFO = "images.npy", "labels.npy", "info.json"
_BLOCK = 2**24  # bytes of images at once


@dataclass(frozen=True)
class Entry:
    """What the cache says of a data set; `notes` tell what was left out."""

    info: DatasetInfo
    notes: tuple[str, ...]


def cache_root() -> Path:
    """ARCHSEARCH_CACHE, else `archsearch/data` in the person's cache folder."""
    chosen = os.environ.get("ARCHSEARCH_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archsearch" / "data"


def read_entry(name: str) -> Entry | None:
    """The entry `name`; None if there is none, or it cannot be read."""
    try:
        content = json.loads((cache_root() / name / _INFO).read_text(encoding="utf-8"))
        info = DatasetInfo.from_dict(content["info"])
        _arrays(name, info, mapped=True)  # raises if images are missing
        return Entry(info, tuple(content["notes"]))
    except (OSError, EOFError, ValueError, LookupError, TypeError):
        return None


def write_info(folder: Path, entry: Entry) -> None:
    """Complete the entry in `folder`."""
    write_text(folder / _INFO, json.dumps({"info": entry.info.as_dict(), "notes": entry.notes}, indent=1) + "\n")


@contextmanager
def locked_entry(name: str) -> Iterator[None]:
    """Let no other process write the entry `name` meanwhile. Raises `StorageError` if the cache cannot be written."""
    root = cache_root()
    with _explained(root):
        root.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(root)
        lock = _lock(root, name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock(root: Path, name: str) -> FileLock:
    return FileLock(root / f".{name}.lock")


def _remove_abandoned(root: Path) -> None:
    """Remove what processes that were killed have left: entries to be, which nobody has locked, if they are ours."""
    for scratch in root.glob(".*-*/"):
        with suppress(OSError), _lock(root, scratch.name[1:].rpartition("-")[0]).acquire(timeout=0):
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def new_entry(name: str) -> Iterator[Path]:
    """A folder to fill, which becomes the entry `name` if this context ends well. Raises `StorageError`."""
    root = cache_root()
    with _explained(root):
        scratch = Path(tempfile.mkdtemp(dir=root, prefix=f".{name}-"))
        try:
            yield scratch
            shutil.rmtree(root / name, ignore_errors=True)  # one that could not be read
            scratch.replace(root / name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"{root}: the cache cannot be written: {reason}; ARCHSEARCH_CACHE names another") from error


def images_file(folder: Path, shape: tuple[int, ...]) -> Bytes:
    """The images of an entry in `folder`, to be filled: a memory-mapped file. Raises `OSError` if the disk is full."""
    images = np.lib.format.open_memmap(folder / _IMAGES, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # a disk that is full when the pages are written would end the process (SIGBUS)
        with open(folder / _IMAGES, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return images


def set_aside(folder: Path) -> Path:
    """Rename the images of an entry, so that others can take their place; returns the file."""
    return (folder / _IMAGES).rename(folder / f"all-{_IMAGES}")


def write_labels(folder: Path, labels: NDArray[Any]) -> None:
    """Write the labels of an entry in `folder`."""
    np.save(folder / _LABELS, labels)


def read_arrays(info: DatasetInfo, *, mapped: bool) -> tuple[Bytes, NDArray[Any], Bytes, NDArray[Any]]:
    """Images and labels of the training part, with that for validation, and of the test part.

    They are memory-mapped if `mapped`. Raises `DataError` if the entry is gone.
    """
    assert info.cache is not None
    folder = cache_root() / info.cache
    try:
        images, labels = _arrays(info.cache, info, mapped=mapped)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{folder}: the cache of {info.title} cannot be read: {error}; start again") from error
    count = info.train_images
    return np.asarray(images[:count]), labels[:count], np.asarray(images[count:]), labels[count:]


def _arrays(name: str, info: DatasetInfo, *, mapped: bool) -> tuple[Bytes, NDArray[Any]]:
    """Images and labels of the entry `name`. Raises `OSError`, `EOFError` or `ValueError` if they are not of `info`."""
    folder = cache_root() / name
    # "c" keeps writes private to the process.
    images = np.load(folder / _IMAGES, mmap_mode="c" if mapped else None, allow_pickle=False)
    labels = np.load(folder / _LABELS, allow_pickle=False)
    if images.shape != (len(labels), *info.shape) or len(labels) != info.train_images + info.test_images:
        raise ValueError(f"it has images of shape {images.shape} and {len(labels):,} labels")
    return images, labels


def statistics(images: Bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of `images` (N, channels, height, width), scaled to [0, 1]."""
    channels = images.shape[1]
    counts = np.zeros((channels, 256), np.int64)
    for block in blocks(images):
        for channel in range(channels):
            counts[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    means = counts @ values / counts.sum(axis=1)
    variances = counts @ values**2 / counts.sum(axis=1) - means**2
    deviations = np.sqrt(np.maximum(variances, 0))
    # Images without contrast stay as they are, rather than becoming infinite.
    deviations[deviations < 1e-4] = 1
    return tuple(means.round(6).tolist()), tuple(deviations.round(6).tolist())


def content_hash(*arrays: NDArray[Any]) -> str:
    """A hash of `arrays`, one after the other."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        for block in blocks(array):
            digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


def blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """`array` in parts of some megabytes along its first axis."""
    rows = max(1, _BLOCK // max(1, array[:1].nbytes))
    return (array[start : start + rows] for start in range(0, len(array), rows))
