"""Readers of the formats of public data sets: IDX, CIFAR's pickles, SVHN's MATLAB files. No torch.

Each raises `FormatError` for what is no whole file of its format. What a file should hold is the caller's to say.
"""

import gzip
import io
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

# Of files that are taken for images in folders, here and wherever a network is used.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".ppm", ".pnm")


class FormatError(Exception):
    """A file cannot be read, or is not of its format."""


def read_content(path: Path, *, mapped: bool = False) -> Bytes:
    """The bytes of `path`, unpacked if its name ends with .gz; if `mapped`, a plain file is memory-mapped."""
    try:
        if path.suffix == ".gz":
            return np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), np.uint8)
        if mapped and path.stat().st_size:  # an empty file cannot be mapped
            return np.asarray(np.memmap(path, np.uint8, mode="c"))  # "c" keeps writes private to the process
        return np.fromfile(path, np.uint8)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FormatError(f"cannot be read: {error}") from error


def parse_idx(content: Bytes, dimensions: int) -> Bytes:
    """The array in IDX format: 0, 0, type (8 is uint8), number of dimensions, each as big-endian int32, bytes."""
    start = 4 + 4 * dimensions
    header = content[:start].tobytes()
    magic = bytes([0, 0, 8, dimensions])
    if len(header) == start and header[:4] != magic:
        raise FormatError(f"wrong file: it begins with {header[:4].hex()}, must begin with {magic.hex()}")
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header) - 3, 4))
    expected = start + int(np.prod(shape, dtype=object))
    if len(header) < start or len(content) != expected:
        rule = f", must be {expected:,} for its {' x '.join(map(str, shape))}" if len(header) == start else ""
        raise FormatError(f"damaged: got {len(content):,} bytes{rule}")
    return content[start:].reshape(shape)


def parse_cifar(content: Bytes, shape: tuple[int, int, int]) -> tuple[Bytes, NDArray[np.int64]]:
    """Images (N, *shape) and labels (N,) in one of CIFAR's pickled files, of which only arrays and names are read."""
    try:
        batch = _ArraysOnly(io.BytesIO(content.tobytes()), encoding="latin1").load()
        labels = batch["fine_labels"] if "fine_labels" in batch else batch["labels"]
        images = np.asarray(batch["data"], np.uint8).reshape(-1, *shape)
        labels = np.asarray(labels, np.int64)
        if labels.shape != images.shape[:1]:
            raise FormatError(f"damaged: has {len(images):,} images and {labels.size:,} labels")
    except FormatError:
        raise
    except Exception as error:  # damaged pickles raise nearly anything
        raise FormatError(f"damaged: not a batch of CIFAR's: {type(error).__name__}: {error}") from error
    return images, labels


def parse_svhn(content: Bytes) -> tuple[Bytes, NDArray[np.int64]]:
    """Images (N, 3, height, width) and labels (N,) in one of SVHN's MATLAB files, where the digit 0 is labelled 10."""
    from scipy.io import loadmat

    try:
        values = loadmat(io.BytesIO(content.tobytes()), variable_names=("X", "y"))
        images = np.ascontiguousarray(np.asarray(values["X"], np.uint8).transpose(3, 2, 0, 1))
        labels = np.asarray(values["y"], np.int64).ravel() % 10
    except Exception as error:  # scipy and zlib raise nearly anything for damaged files
        raise FormatError(f"damaged: not a MATLAB file of SVHN's: {type(error).__name__}: {error}") from error
    if len(labels) != len(images):
        raise FormatError(f"damaged: has {len(images):,} images and {len(labels):,} labels")
    return images, labels


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of plain values and NumPy arrays, and executes nothing else."""

    _ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "encode", "scalar"})

    def find_class(self, module: str, name: str) -> Any:
        if name not in self._ALLOWED or module.partition(".")[0] not in ("numpy", "_codecs"):
            raise pickle.UnpicklingError(f"holds {module}.{name}")
        # NumPy 2 moved this module.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
