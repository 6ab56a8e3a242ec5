"""Data sets: what is on disk is validated, what is not is downloaded or named; splits, batches, augmentation."""

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from archsearch.config.recipe import AffineAugment
from archsearch.data.augment import Affine
from archsearch.data.batches import ImageSet
from archsearch.data.files import ensure_files, missing_files, read_files
from archsearch.data.info import DATASETS, FILES, DatasetInfo, holdout_size, steps_per_epoch
from archsearch.data.load import load, resolve_dataset, stratified_holdout
from archsearch.errors import ConfigError, DataError

# A data set of our own in MNIST's format, so that nothing here needs the real one.
TINY = DatasetInfo("tiny", "Tiny", tuple("0123456789"), 120, 30, 0.5, 0.29, "FashionMNIST")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, count in zip(FILES, (120, 120, 30, 30), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        (folder / name).write_bytes(idx(random.integers(0, 256 if "images" in name else 10, shape, dtype=np.uint8)))
    return tmp_path


def test_reads_what_is_there_plain_or_gzipped(root: Path) -> None:
    plain = read_files(TINY, root)
    for name in FILES:
        path = root / "FashionMNIST" / "raw" / name
        path.with_name(f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert not missing_files(TINY, root)
    for before, after in zip(plain, read_files(TINY, root), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [array.shape for array in plain] == [(120, 28, 28), (120,), (30, 28, 28), (30,)]


def spoil(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        del content[len(content) // 2 :]
    elif how == "empty":
        content.clear()
    elif how == "longer":
        content += b"x"
    elif how == "header":
        content[2] = 13
    elif how == "label":
        content[-1] = 77
    elif how == "darker":
        content[16:] = bytes(len(content) - 16)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "how", "message"),
    [
        (FILES[0], "truncated", "damaged: 47,048 bytes, Tiny's has 94,096; delete it"),
        (FILES[2], "empty", "damaged: 0 bytes"),
        (FILES[1], "longer", "damaged: 129 bytes"),
        (FILES[3], "header", "not the file that its name says"),
        (FILES[1], "label", "holds the label 77, Tiny has 0 to 9"),
        (FILES[0], "darker", "not Tiny's training images: their mean is 0.0000, Tiny's is 0.5000"),
    ],
)
def test_damaged_files_are_named(root: Path, file: str, how: str, message: str) -> None:
    path = root / "FashionMNIST" / "raw" / file
    spoil(path, how)
    with pytest.raises(DataError) as caught:
        read_files(TINY, root)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_swapped_files_are_noticed(root: Path) -> None:
    folder = root / "FashionMNIST" / "raw"
    (folder / FILES[0]).rename(folder / "aside")
    (folder / FILES[2]).rename(folder / FILES[0])
    (folder / "aside").rename(folder / FILES[2])
    with pytest.raises(DataError, match="damaged"):
        read_files(TINY, root)


def test_checksums_are_compared(root: Path) -> None:
    content = (root / "FashionMNIST" / "raw" / FILES[3]).read_bytes()
    right = replace(TINY, checksums={FILES[3]: hashlib.sha256(content).hexdigest()})
    read_files(right, root)
    with pytest.raises(DataError, match="its SHA-256 is not 000000000000"):
        read_files(replace(TINY, checksums={FILES[3]: "0" * 64}), root)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import KMNIST, MNIST, FashionMNIST

    for dataset in (MNIST, FashionMNIST, KMNIST):
        monkeypatch.setattr(dataset, "mirrors", ["http://127.0.0.1:9/"])


@pytest.mark.usefixtures("offline")
def test_missing_data_are_named_and_leave_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "data"
    with pytest.raises(DataError) as caught:
        resolve_dataset("mnist", root)
    for wanted in (str(root / "MNIST" / "raw"), *FILES, "data=digits", "ARCHSEARCH_DATA", "Connection refused"):
        assert wanted in str(caught.value)
    assert not root.exists()


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_to_digits_and_says_why(tmp_path: Path) -> None:
    choice = resolve_dataset("auto", tmp_path)
    assert choice.info.name == "digits"
    assert choice.fallback is not None and "MNIST is not on disk" in choice.fallback


def test_auto_falls_back_where_the_folder_cannot_be_made() -> None:
    assert resolve_dataset("auto", Path("/dev/null/data")).info.name == "digits"


def test_a_damaged_gzip_is_named(root: Path) -> None:
    path = root / "FashionMNIST" / "raw" / FILES[0]
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    path.with_name(f"{FILES[0]}.gz").write_bytes(packed)
    path.unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: cannot be read"):
        read_files(TINY, root)


def test_auto_takes_mnist_where_it_is(mnist_root: Path) -> None:
    choice = resolve_dataset("auto", mnist_root)
    assert choice.info.name == "mnist" and choice.fallback is None


def test_auto_does_not_hide_damage(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"half")
    choice = resolve_dataset("auto", tmp_path)
    with pytest.raises(DataError, match="damaged: 4 bytes"):
        load(choice.info, tmp_path)


@pytest.fixture
def mirror(root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An HTTP server with the tiny data set, where torchvision looks for Fashion-MNIST."""
    from torchvision.datasets import FashionMNIST

    served = tmp_path_factory.mktemp("mirror")
    resources = []
    for name in FILES:
        content = gzip.compress((root / "FashionMNIST" / "raw" / name).read_bytes())
        (served / f"{name}.gz").write_bytes(content)
        resources.append((f"{name}.gz", hashlib.md5(content).hexdigest()))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(FashionMNIST, "resources", resources)
        yield served
        server.shutdown()


def test_downloads_what_is_missing(mirror: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert mirror.is_dir()
    fresh = tmp_path_factory.mktemp("fresh") / "data"
    ensure_files(TINY, fresh)
    for before, after in zip(read_files(TINY, root), read_files(TINY, fresh), strict=True):
        np.testing.assert_array_equal(before, after)
    assert sorted(path.name for path in fresh.rglob("*") if path.is_file()) == sorted(FILES)


def test_a_corrupted_download_is_refused(mirror: Path, tmp_path: Path) -> None:
    (mirror / f"{FILES[2]}.gz").write_bytes(b"not what the checksum says")
    fresh = tmp_path / "fresh"
    with pytest.raises(DataError, match="downloading failed"):
        ensure_files(TINY, fresh)
    assert not fresh.exists()


def test_statistics_of_digits_are_those_of_its_definition() -> None:
    digits = load(DATASETS["digits"], Path("unused"))
    assert len(digits.train_labels) == digits.info.train_images == 1500
    assert len(digits.test_labels) == digits.info.test_images == 297
    pixels = digits.train_images / 255
    assert pixels.mean() == pytest.approx(digits.info.mean, abs=1e-4)
    assert pixels.std() == pytest.approx(digits.info.std, abs=1e-4)
    assert digits.fingerprint == load(DATASETS["digits"], Path("unused")).fingerprint


def test_real_mnist(mnist_root: Path) -> None:
    mnist = load(DATASETS["mnist"], mnist_root)
    assert mnist.train_images.shape == (60_000, 1, 28, 28) and mnist.test_images.shape == (10_000, 1, 28, 28)
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = mnist.train_images / 255
    assert (round(pixels.mean(), 4), round(pixels.std(), 4)) == (mnist.info.mean, mnist.info.std)


def test_holdout_is_stratified_fixed_and_complete() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), [600, 400, 500, 500, 500, 500, 500, 500, 501, 499])
    kept, held_out = stratified_holdout(labels, 833, seed=0)
    assert len(held_out) == 833 and len(np.union1d(kept, held_out)) == 5000 and not np.intersect1d(kept, held_out).size
    share = np.bincount(labels[held_out]) / np.bincount(labels)
    assert np.abs(share - 833 / 5000).max() < 0.002
    assert held_out[:5].tolist() == [1, 8, 12, 14, 15]  # on every machine, under every NumPy
    assert set(held_out) != set(stratified_holdout(labels, 833, seed=1)[1])


@pytest.mark.parametrize(("asked", "given"), [(None, 10_000), (0, 0), (10, 10), (59_990, 59_990)])
def test_holdout_sizes(asked: int | None, given: int) -> None:
    assert holdout_size(DATASETS["mnist"], asked) == given


@pytest.mark.parametrize("asked", [1, 9, 59_991, 60_000])
def test_impossible_holdout_sizes(asked: int) -> None:
    with pytest.raises(ConfigError, match=r"data.validation: got \d+, must be 0, or between 10 and 59,990"):
        holdout_size(DATASETS["mnist"], asked)


def images(count: int, channels_last: bool = False) -> ImageSet:
    random = np.random.default_rng(1)
    return ImageSet.of(
        DATASETS["mnist"],
        random.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8),
        np.arange(count, dtype=np.uint8) % 10,
        torch.device("cpu"),
        channels_last,
    )


@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_equal_torchvisions_transforms(channels_last: bool) -> None:
    from torchvision.transforms import Compose, Normalize, ToTensor

    transform = Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    some = images(7, channels_last)
    batches = [pixels for pixels, _ in some.in_order(3)]
    assert [len(batch) for batch in batches] == [3, 3, 1]
    expected = torch.stack([transform(image[0].numpy()) for image in some.images])
    torch.testing.assert_close(torch.cat(batches), expected)


def test_shuffled_batches_hold_each_image_once_in_an_order_of_the_seed() -> None:
    def epoch(seed: int) -> list[int]:
        return [int(p.sum() * 1000) for p, _ in images(20).shuffled(1, torch.Generator().manual_seed(seed))]

    assert sorted(epoch(1)) == sorted(epoch(2)) and epoch(1) == epoch(1) != epoch(2)


@pytest.mark.parametrize(("count", "size"), [(20, 6), (21, 5), (21, 4), (3, 1), (5, 8), (1, 4)])
def test_a_last_batch_of_one_image_is_left_out(count: int, size: int) -> None:
    sizes = [len(labels) for _, labels in images(count).shuffled(size, torch.Generator())]
    assert len(sizes) == steps_per_epoch(count, size)
    assert size == 1 or 1 not in sizes


def test_affine_of_nothing_changes_nothing_and_keeps_its_bounds() -> None:
    batch = torch.rand(6, 1, 28, 28)
    still = Affine(AffineAugment(degrees=0.0, translate=0.0, scale=0.0))
    torch.testing.assert_close(still(batch), batch, atol=1e-5, rtol=0)

    dot = torch.zeros(400, 1, 29, 29)
    dot[:, :, 14, 14] = 1
    moved = Affine(AffineAugment(degrees=0.0, translate=0.1, scale=0.0))(dot)
    rows, columns = moved.sum(dim=(1, 3)), moved.sum(dim=(1, 2))
    for axis in (rows, columns):
        centre = (axis * torch.arange(29)).sum(dim=1) / axis.sum(dim=1)
        assert 2.0 < (centre - 14).abs().max() <= 2.9 + 1e-3  # a tenth of 29 pixels

    line = torch.zeros(400, 1, 29, 29)
    line[:, :, 14, 4:25] = 1
    turned = Affine(AffineAugment(degrees=20.0, translate=0.0, scale=0.0))(line)
    tip = turned[:, 0, :, 23].argmax(dim=1) - 14  # nine pixels from the centre: tan(20 degrees) * 9 = 3.3
    assert 2 <= tip.abs().max() <= 4 and tip.min() < 0 < tip.max()
