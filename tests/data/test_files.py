"""Finding, downloading and validating files."""

import gzip
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from archsearch.data.catalogue import DATASETS, FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from archsearch.data.files import check_files, ensure_files, missing_files, read_files
from archsearch.data.info import DatasetInfo
from archsearch.errors import DataError, StorageError

# A small data set in MNIST's format.
TINY = replace(
    DATASETS["fashion_mnist"],
    name="tiny",
    title="Tiny",
    classes=tuple("0123456789"),
    train_images=120,
    test_images=30,
    mean=(0.5,),
    std=(0.29,),
)
SHAPES = {TRAIN_IMAGES: (120, 28, 28), TRAIN_LABELS: (120,), TEST_IMAGES: (30, 28, 28), TEST_LABELS: (30,)}

Edit = Callable[[bytes], bytes]


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def folder_of(root: Path) -> Path:
    return root / "FashionMNIST" / "raw"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the tiny data set."""
    random = np.random.default_rng(0)
    folder_of(tmp_path).mkdir(parents=True)
    for name, shape in SHAPES.items():
        array = random.integers(0, 256 if "images" in name else 10, shape, dtype=np.uint8)
        (folder_of(tmp_path) / name).write_bytes(idx(array))
    return tmp_path


def test_files_are_read_as_arrays(root: Path) -> None:
    arrays = read_files(TINY, root)
    assert [array.shape for array in arrays] == [(120, 1, 28, 28), (120,), (30, 1, 28, 28), (30,)]
    assert [idx(array.squeeze()) for array in arrays] == [(folder_of(root) / name).read_bytes() for name in FILES]


@pytest.mark.parametrize("packed", [False, True])
def test_files_are_found_in_the_folder_itself(root: Path, packed: bool) -> None:
    below = read_files(TINY, root)
    for name in FILES:
        path = folder_of(root) / name
        if packed:
            (root / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        else:
            path.replace(root / name)
    assert not missing_files(TINY, root)
    for before, after in zip(below, read_files(TINY, root), strict=True):
        np.testing.assert_array_equal(before, after)


def test_gzipped_files_are_read_like_plain_ones(root: Path) -> None:
    plain = read_files(TINY, root)
    for name in FILES:
        path = folder_of(root) / name
        path.with_name(f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert not missing_files(TINY, root)
    for before, after in zip(plain, read_files(TINY, root), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        (
            TRAIN_IMAGES,
            lambda content: content[:47_048],
            "damaged: got 47,048 bytes, must be 94,096 for its 120 x 28 x 28; restore it",
        ),
        (TEST_IMAGES, lambda _: b"", "damaged: got 0 bytes"),
        (TRAIN_LABELS, lambda content: content + b"x", "damaged: got 129 bytes"),
        (
            TEST_LABELS,
            lambda content: bytes([0, 0, 13]) + content[3:],
            "wrong file: it begins with 00000d01, must begin with 00000801",
        ),
        (
            TRAIN_LABELS,
            lambda content: content[:-1] + bytes([77]),
            "damaged: contains the label 77; the labels of Tiny are 0",
        ),
        (
            TRAIN_IMAGES,
            lambda content: content[:16] + bytes(len(content) - 16),
            "not the training images of Tiny: their mean is 0.0000, must be 0.5000",
        ),
    ],
    ids=["truncated", "empty", "too long", "header", "label", "mean"],
)
def test_damaged_files_are_named(root: Path, name: str, edit: Edit, message: str) -> None:
    path = folder_of(root) / name
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        read_files(TINY, root)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_damaged_gzip_is_named(root: Path) -> None:
    path = folder_of(root) / TRAIN_IMAGES
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    path.with_name(f"{TRAIN_IMAGES}.gz").write_bytes(packed)
    path.unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: cannot be read"):
        read_files(TINY, root)


def test_files_that_change_are_checked_again(root: Path) -> None:
    check_files(TINY, root)
    path = folder_of(root) / TEST_LABELS
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged: got 37 bytes"):
        check_files(TINY, root)


@pytest.mark.parametrize("mapped", [False, True])
def test_only_mapped_arrays_change_with_their_file(root: Path, mapped: bool) -> None:
    images = read_files(TINY, root, mapped=mapped)[0]
    before = images.copy()
    with open(folder_of(root) / TRAIN_IMAGES, "r+b") as file:
        file.seek(16)
        file.write(bytes(28 * 28))
    assert (images == before).all() is not np.bool_(mapped)


def test_swapped_files_are_rejected(root: Path) -> None:
    train, test = folder_of(root) / TRAIN_IMAGES, folder_of(root) / TEST_IMAGES
    content = train.read_bytes()
    test.replace(train)
    test.write_bytes(content)
    with pytest.raises(DataError, match="not of Tiny: holds 30 x 28 x 28 values, must be 120 x 28 x 28"):
        read_files(TINY, root)


def with_checksum(checksum: str) -> DatasetInfo:
    assert TINY.files is not None
    return replace(TINY, files=replace(TINY.files, checksums={TEST_LABELS: checksum}))


def test_own_images_in_mnists_layout_are_not_called_damaged(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_files(DATASETS["mnist"], root / "FashionMNIST" / "raw")
    message = str(caught.value)
    assert "not of MNIST: holds 120 x 28 x 28 values, must be 60,000 x 28 x 28" in message
    assert "data=image_folder" in message and "damaged" not in message and "delete" not in message


def test_a_file_with_its_checksum_is_accepted(root: Path) -> None:
    checksum = hashlib.sha256((folder_of(root) / TEST_LABELS).read_bytes()).hexdigest()
    read_files(with_checksum(checksum), root)


def test_a_file_with_another_checksum_is_rejected(root: Path) -> None:
    with pytest.raises(DataError, match="its SHA-256 is not 000000000000"):
        read_files(with_checksum("0" * 64), root)


@pytest.mark.usefixtures("offline")
def test_the_error_for_missing_data_names_files_folder_reason_and_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        ensure_files(DATASETS["mnist"], tmp_path / "data")
    folder = str(tmp_path / "data" / "MNIST" / "raw")
    for part in ("data=mnist", folder, *FILES, "Connection refused", "ARCHSEARCH_DATA", "data=digits"):
        assert part in str(caught.value)


@pytest.mark.usefixtures("offline")
def test_a_failed_download_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        ensure_files(DATASETS["mnist"], tmp_path / "data")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_created_is_named() -> None:
    with pytest.raises(StorageError, match=r"data.root=/dev/null/data: cannot be written"):
        ensure_files(DATASETS["mnist"], Path("/dev/null/data"))


@pytest.fixture
def mirror(root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an HTTP server with the tiny data set, from which torchvision downloads Fashion-MNIST."""
    from torchvision.datasets import FashionMNIST

    served = tmp_path_factory.mktemp("mirror")
    resources = []
    for name in FILES:
        content = gzip.compress((folder_of(root) / name).read_bytes())
        (served / f"{name}.gz").write_bytes(content)
        resources.append((f"{name}.gz", hashlib.md5(content).hexdigest()))

    class QuietHandler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(FashionMNIST, "resources", resources)
        yield served
        server.shutdown()


@pytest.mark.usefixtures("mirror")
def test_missing_files_are_downloaded(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    downloads = tmp_path_factory.mktemp("downloads") / "data"
    ensure_files(TINY, downloads)
    for original, downloaded in zip(read_files(TINY, root), read_files(TINY, downloads), strict=True):
        np.testing.assert_array_equal(original, downloaded)
    assert sorted(path.name for path in downloads.rglob("*") if path.is_file()) == sorted([".downloaded", *FILES])


@pytest.mark.usefixtures("mirror")
def test_only_files_that_were_downloaded_are_to_be_deleted(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    downloads = tmp_path_factory.mktemp("downloads") / "data"
    ensure_files(TINY, downloads)
    for folder, advice in ((downloads, "delete it to download it again"), (root, "restore it, or name another folder")):
        (folder_of(folder) / TRAIN_LABELS).write_bytes(b"half")
        with pytest.raises(DataError, match=rf"train-labels-idx1-ubyte: damaged: got 4 bytes.*; {advice}"):
            read_files(TINY, folder)


def test_a_corrupted_download_is_rejected(mirror: Path, tmp_path: Path) -> None:
    (mirror / f"{TEST_IMAGES}.gz").write_bytes(b"not what the checksum says")
    with pytest.raises(DataError, match="downloading failed"):
        ensure_files(TINY, tmp_path / "downloads")
    assert not (tmp_path / "downloads").exists()
