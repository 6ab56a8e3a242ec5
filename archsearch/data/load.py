"""A data set as arrays in memory, and the split of its training images."""

from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archsearch.config.settings import DataSettings
from archsearch.data.catalogue import DATASETS, OWN, dataset_info
from archsearch.data.files import check_files, ensure_files, read_files
from archsearch.data.formats import Bytes
from archsearch.data.info import DatasetInfo, holdout_size
from archsearch.data.own.cache import content_hash, read_arrays
from archsearch.data.own.dataset import own_dataset
from archsearch.errors import DataError, StorageError

Indices = NDArray[np.int64]
Labels = NDArray[np.uint8] | NDArray[np.int64]  # of up to 256 classes, or of more


@dataclass(frozen=True)
class ResolvedDataset:
    """The data set that a run uses. `fallback` is the reason if `auto` did not get MNIST."""

    info: DatasetInfo
    fallback: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A whole data set: images (N, channels, height, width), uint8, and labels (N,)."""

    info: DatasetInfo
    train_images: Bytes
    train_labels: Labels
    test_images: Bytes
    test_labels: Labels

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all images and labels."""
        arrays = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        return self.info.content or content_hash(*arrays)


def named_dataset(data: DataSettings) -> DatasetInfo:
    """The data set that `data` name, whether or not it is on this machine; one of a person's own must be.

    Raises what `own_dataset` does.
    """
    return own_dataset(data) if data.name in OWN else dataset_info(data.name)


def source_of(data: DataSettings) -> DataSettings:
    """`data` without what is no matter of where the images come from: equal for the same images."""
    return replace(data, validation=None, split_seed=0)


def resolve_dataset(data: DataSettings) -> ResolvedDataset:
    """The data set that `data` name, with its files downloaded if they are missing, and validated.

    `auto` is MNIST, or digits if MNIST is not available. Any other name raises `DataError` or `StorageError` if its
    data set is not available. Damaged files are a `DataError` in any case.
    """
    if data.name in OWN:
        return ResolvedDataset(own_dataset(data))
    name, root = data.name, Path(data.root)
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
    if info.cache is not None:
        return Dataset(info, *read_arrays(info, mapped=mapped))
    return Dataset(info, *(_digits(info) if info.files is None else read_files(info, root, mapped=mapped)))


def holdout(info: DatasetInfo, labels: Labels, data: DataSettings) -> tuple[Indices, Indices]:
    """The indices of the training images, of which these are the `labels`: (kept, held out).

    Raises `ConfigError` like `holdout_size`.
    """
    size = holdout_size(info, data.validation)
    if not info.validation_images:
        return stratified_holdout(labels, size, data.split_seed)
    kept, own = np.split(np.arange(len(labels)), [len(labels) - info.validation_images])
    return (kept, own) if size else (np.arange(len(labels)), own[:0])


def stratified_holdout(labels: Labels, size: int, seed: int) -> tuple[Indices, Indices]:
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

    pixels, labels = _scikit_learn_digits()
    small = torch.from_numpy(pixels)[:, None] / 16
    large = torch.nn.functional.interpolate(small, size=info.shape[1:], mode="bilinear", align_corners=False)
    images = (large * 255).round().to(torch.uint8).numpy()
    train, test = stratified_holdout(labels, info.test_images, seed=0)
    return images[train], labels[train], images[test], labels[test]


def _scikit_learn_digits() -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The images (N, 8, 8), from 0 to 16, and the labels (N,) of scikit-learn's `load_digits`.

    From its file, because importing the function takes a second.
    """
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
            return table[:, :-1].reshape(-1, 8, 8).astype(np.float64), table[:, -1]
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images, bunch.target.astype(np.uint8)
