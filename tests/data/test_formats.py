"""CIFAR's, SVHN's and EMNIST's files, generated in the layout that torchvision leaves."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archsearch.data.catalogue import DATASETS
from archsearch.data.files import read_files
from archsearch.data.formats import parse_cifar, read_content
from archsearch.data.info import DatasetInfo
from archsearch.errors import DataError
from tests.data.test_files import idx
from tests.support.runs import train_in


def small(name: str, train: int, test: int) -> DatasetInfo:
    """The data set `name` with fewer images, so that no checksum applies."""
    info = DATASETS[name]
    assert info.files is not None
    return replace(info, train_images=train, test_images=test, files=replace(info.files, checksums={}))


def write_cifar(root: Path, name: str, each: int) -> np.ndarray:
    """Write `each` images into every file; returns those of all training files (N, 3, 32, 32)."""
    files = DATASETS[name].files
    assert files is not None
    (root / files.folder).mkdir()
    random, written = np.random.default_rng(0), []
    for file in files.names:
        data = random.integers(0, 256, (each, 3072), dtype=np.uint8)
        labels = {"fine_labels" if name == "cifar100" else "labels": [number % 10 for number in range(each)]}
        (root / files.folder / file).write_bytes(pickle.dumps({"data": data, "filenames": ["x.png"], **labels}, 2))
        written.append(data.reshape(-1, 3, 32, 32))
    return np.concatenate(written[: len(files.train)])


@pytest.mark.parametrize(("name", "files"), [("cifar10", 5), ("cifar100", 1)])
def test_cifars_batches_are_read(tmp_path: Path, name: str, files: int) -> None:
    written = write_cifar(tmp_path, name, each=20)
    images, labels, test_images, test_labels = read_files(small(name, 20 * files, 20), tmp_path)
    np.testing.assert_array_equal(images, written)
    assert labels.tolist() == [number % 10 for number in range(20)] * files and labels.dtype == np.uint8
    assert test_images.shape == (20, 3, 32, 32) and test_labels.shape == (20,)


def test_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    """The real files are: their texts and the bytes of their arrays are strings of Python 2."""
    written = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    (tmp_path / "batch").write_bytes(
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + written.nbytes.to_bytes(4, "little") + written.tobytes() + b"tbU\x06labels](K\x07K\x01eu."
    )  # fmt: skip
    images, labels = parse_cifar(read_content(tmp_path / "batch"), (3, 32, 32))
    np.testing.assert_array_equal(images.reshape(2, -1), written)
    assert labels.tolist() == [7, 1]


def test_torchvision_reads_the_same_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    written = write_cifar(tmp_path, "cifar10", each=20)
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({"label_names": []}, 2))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    np.testing.assert_array_equal(CIFAR10(str(tmp_path)).data.transpose(0, 3, 1, 2), written)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda content: content[:500], "damaged: not a batch of CIFAR's"),
        (lambda _: pickle.dumps({"data": np.zeros((3, 3072), "u1"), "labels": [0]}), "has 3 images and 1 labels"),
        (lambda _: pickle.dumps(pytest.raises), "holds _pytest.raises.raises"),
    ],
    ids=["truncated", "unequal", "code"],
)
def test_damaged_batches_are_named(tmp_path: Path, content: Callable[[bytes], bytes], message: str) -> None:
    write_cifar(tmp_path, "cifar10", each=20)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        read_files(small("cifar10", 100, 20), tmp_path)
    assert str(caught.value).startswith(f"{path}: ")


def test_checksums_of_the_real_cifar_are_checked(tmp_path: Path) -> None:
    write_cifar(tmp_path, "cifar10", each=20)
    with pytest.raises(DataError, match=r"data_batch_1: damaged, or not of CIFAR-10: its MD5 is not c99cafc15224"):
        read_files(DATASETS["cifar10"], tmp_path)


def write_svhn(path: Path, images: np.ndarray, labels: list[int]) -> None:
    from scipy.io import savemat

    savemat(path, {"X": images, "y": np.array(labels, np.uint8)[:, None]})


def test_svhns_files_are_read_with_zero_for_ten(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    write_svhn(tmp_path / "train_32x32.mat", images, [10, 1, 2, 9])
    write_svhn(tmp_path / "test_32x32.mat", images[..., :2], [3, 10])
    read, labels, test_images, test_labels = read_files(small("svhn", 4, 2), tmp_path)
    np.testing.assert_array_equal(read[1].transpose(1, 2, 0), images[..., 1])
    assert labels.tolist() == [0, 1, 2, 9] and test_labels.tolist() == [3, 0] and len(test_images) == 2
    (tmp_path / "test_32x32.mat").write_bytes(b"MATLAB")
    with pytest.raises(DataError, match=r"test_32x32.mat: damaged: not a MATLAB file of SVHN's"):
        read_files(small("svhn", 4, 2), tmp_path)


@pytest.mark.parametrize(("name", "first"), [("emnist_balanced", 0), ("emnist_letters", 1)])
def test_emnists_images_are_turned_upright_and_labels_begin_with_zero(tmp_path: Path, name: str, first: int) -> None:
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    labels = np.array([5, 1, 2, 26, 3, 4], np.uint8)
    for part in ("train", "test"):
        stem = f"{name.replace('_', '-')}-{part}"
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(idx(labels))
    read, read_labels, _, _ = read_files(small(name, 6, 6), tmp_path)
    np.testing.assert_array_equal(read[:, 0], images.transpose(0, 2, 1))
    np.testing.assert_array_equal(read_labels, labels - first)


def test_every_public_data_set_has_consistent_facts() -> None:
    from torchvision import datasets

    for info in DATASETS.values():
        assert len(info.mean) == len(info.std) == info.shape[0]
        assert len(set(info.classes)) == len(info.classes)
        if info.class_sizes:
            assert sum(info.class_sizes) == info.train_images and len(info.class_sizes) == len(info.classes)
        if info.files is not None:
            assert hasattr(datasets, info.files.torchvision)
    assert list(DATASETS["emnist_balanced"].classes) == datasets.EMNIST.classes_split_dict["balanced"]
    assert len(DATASETS["cifar100"].classes) == 100


@pytest.mark.e2e
def test_a_resnet_trains_on_cifar_from_its_files(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = small("cifar100", 240, 240)
    info = replace(info, classes=info.classes[:10])
    monkeypatch.setitem(DATASETS, "cifar100", info)
    write_cifar(workspace, "cifar100", each=240)
    result = train_in(
        workspace / "run", "model=resnet20", "data=cifar100", "data.root=.", "trainer.batch_size=50",
        "trainer.epochs=1", "data.validation=40", "tracking=none", "augment=affine", "init.first_conv=whitening",
    )  # fmt: skip
    assert result["state"] == "FINISHED" and result["final"]["test/loss"] > 0
    assert (workspace / "run" / "mistakes.png").stat().st_size > 10_000
