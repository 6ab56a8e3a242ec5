"""Resolving, loading and splitting data sets."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archsearch.config.settings import DatasetName, DataSettings
from archsearch.data.catalogue import DATASETS, FILES
from archsearch.data.load import Dataset, ResolvedDataset, load, resolve_dataset, stratified_holdout
from archsearch.errors import DataError, StorageError


def resolve(name: DatasetName, root: Path) -> ResolvedDataset:
    return resolve_dataset(DataSettings(name=name, root=str(root)))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DATASETS["digits"], Path("unused"))


def test_auto_is_mnist_if_its_files_are_there(mnist_root: Path) -> None:
    dataset = resolve("auto", mnist_root)
    assert dataset.info.name == "mnist" and dataset.fallback is None


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_to_digits_with_the_reason(tmp_path: Path) -> None:
    dataset = resolve("auto", tmp_path)
    assert dataset.info.name == "digits"
    assert dataset.fallback is not None and "MNIST is not on disk" in dataset.fallback


def test_auto_falls_back_to_digits_if_the_folder_cannot_be_created() -> None:
    assert resolve("auto", Path("/dev/null/data")).info.name == "digits"


@pytest.mark.usefixtures("offline")
def test_a_named_data_set_has_no_fallback(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data=kmnist: Kuzushiji-MNIST is not on disk"):
        resolve("kmnist", tmp_path)
    with pytest.raises(StorageError):
        resolve("mnist", Path("/dev/null/data"))


def test_auto_does_not_hide_damaged_files(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"half")
    with pytest.raises(DataError, match="damaged: got 4 bytes"):
        resolve("auto", tmp_path)


def test_digits_have_the_shapes_and_statistics_of_their_info(digits: Dataset) -> None:
    assert digits.train_images.shape == (digits.info.train_images, 1, 28, 28) == (1500, 1, 28, 28)
    assert digits.test_images.shape == (digits.info.test_images, 1, 28, 28) == (297, 1, 28, 28)
    pixels = digits.train_images / 255
    assert pixels.mean() == pytest.approx(digits.info.mean[0], abs=1e-4)
    assert pixels.std() == pytest.approx(digits.info.std[0], abs=1e-4)


def test_digits_are_the_same_if_scikit_learn_keeps_them_elsewhere(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archsearch.data.load.find_spec", lambda name: None)
    assert load(DATASETS["digits"], Path("unused")).fingerprint == digits.fingerprint


@pytest.mark.e2e
def test_digits_are_read_without_importing_scikit_learn() -> None:
    read = "from archsearch.data.load import load; load(DATASETS['digits'], Path('unused'))"
    imports = "import sys; from pathlib import Path; from archsearch.data.catalogue import DATASETS"
    command = [sys.executable, "-c", f"{imports}; {read}; assert 'sklearn' not in sys.modules"]
    subprocess.run(command, check=True, timeout=60)


def test_mnist_has_the_shapes_and_statistics_of_its_info(mnist_root: Path) -> None:
    mnist = load(DATASETS["mnist"], mnist_root)
    assert mnist.train_images.shape == (60_000, 1, 28, 28) and mnist.test_images.shape == (10_000, 1, 28, 28)
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = mnist.train_images / 255
    assert (round(pixels.mean(), 4), round(pixels.std(), 4)) == (mnist.info.mean[0], mnist.info.std[0])


def test_equal_data_have_equal_fingerprints(digits: Dataset) -> None:
    assert load(DATASETS["digits"], Path("unused")).fingerprint == digits.fingerprint


@pytest.mark.parametrize("field", ["train_images", "train_labels", "test_images", "test_labels"])
def test_the_fingerprint_depends_on_every_array(digits: Dataset, field: str) -> None:
    changed = getattr(digits, field).copy()
    changed.flat[-1] += 1
    assert replace(digits, **{field: changed}).fingerprint != digits.fingerprint


LABELS = np.repeat(np.arange(10, dtype=np.uint8), [600, 400, 500, 500, 500, 500, 500, 500, 501, 499])


def test_a_split_is_complete_and_disjoint() -> None:
    kept, held_out = stratified_holdout(LABELS, 833, seed=0)
    assert len(held_out) == 833
    assert sorted([*kept, *held_out]) == list(range(5000))


def test_every_class_is_held_out_in_proportion() -> None:
    _, held_out = stratified_holdout(LABELS, 833, seed=0)
    shares = np.bincount(LABELS[held_out]) / np.bincount(LABELS)
    assert np.abs(shares - 833 / 5000).max() < 0.002


def test_a_split_depends_on_its_seed_only() -> None:
    first = stratified_holdout(LABELS, 833, seed=0)[1]
    assert first[:5].tolist() == [1, 8, 12, 14, 15]  # on every machine, under every version of NumPy
    assert set(first) != set(stratified_holdout(LABELS, 833, seed=1)[1])
