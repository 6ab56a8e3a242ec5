"""A data set as arrays in memory, and the split of its training images."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archsearch.data.catalogue import DATASETS, dataset_info
from archsearch.data.files import check_files, ensure_files, read_files
from archsearch.data.formats import Bytes
from archsearch.data.info import DatasetInfo
from archsearch.errors import DataError, StorageError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ResolvedDataset:
    """The data set that a run uses. `fallback` is the reason if `auto` did not get MNIST."""

    info: DatasetInfo
    fallback: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A whole data set: images (N, channels, height, width) and labels (N,), uint8."""

    info: DatasetInfo
    train_images: Bytes
    train_labels: Bytes
    test_images: Bytes
    test_labels: Bytes

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all images and labels."""
        digest = hashlib.blake2b(digest_size=8)
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def resolve_dataset(name: str, root: Path) -> ResolvedDataset:
    """The data set that `name` refers to, with its files downloaded if they are missing, and validated.

    `auto` is MNIST, or digits if MNIST is not available. Any other name raises `DataError` or `StorageError` if its
    data set is not available. Damaged files are a `DataError` in any case.
    """
    try:
        info = dataset_info(name)
        ensure_files(info, root)
    except (DataError, StorageError) as error:
        if name != "auto":
            raise
        return ResolvedDataset(DATASETS["digits"], str(error).splitlines()[0])
    check_files(info, root)
    return ResolvedDataset(info)


def load(info: DatasetInfo, root: Path, *, mapped: bool = False) -> Dataset:
    """Read a data set into memory; with `mapped`, share its files with other processes (see `read_files`).

    Raises `DataError` for damaged files.
    """
    return Dataset(info, *(_digits(info) if info.files is None else read_files(info, root, mapped=mapped)))


def stratified_holdout(labels: Bytes, size: int, seed: int) -> tuple[Indices, Indices]:
    """Split the indices of `labels` into (kept, held out), with `size` held out and every class in proportion.

    The same `seed` gives the same split on every machine.
    """
    # RandomState, not Generator: its stream is frozen, so the split is the same under every version of NumPy.
    random = np.random.RandomState(seed)
    counts = np.bincount(labels)
    exact = counts * (size / len(labels))
    quota = np.floor(exact).astype(np.int64)
    quota[np.argsort(quota - exact, kind="stable")[: size - quota.sum()]] += 1  # largest remainders first
    held_out = np.concatenate(
        [random.permutation(np.flatnonzero(labels == label))[: quota[label]] for label in range(len(counts))]
    )
    kept = np.setdiff1d(np.arange(len(labels)), held_out)
    return kept, np.sort(held_out)


def _digits(info: DatasetInfo) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    import torch
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images)[:, None] / 16
    large = torch.nn.functional.interpolate(small, size=info.shape[1:], mode="bilinear", align_corners=False)
    images = (large * 255).round().to(torch.uint8).numpy()
    labels = bunch.target.astype(np.uint8)
    train, test = stratified_holdout(labels, info.test_images, seed=0)
    return images[train], labels[train], images[test], labels[test]
