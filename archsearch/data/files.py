"""Finding, downloading and validating the files of a data set.

torchvision is used for downloading only. It takes two seconds to import, and raises a bare AssertionError for a
truncated file. Imports no torch unless something must be downloaded.
"""

import getpass
import gzip
import hashlib
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from archsearch.data.info import FILES, DatasetInfo
from archsearch.errors import DataError, StorageError

Bytes = NDArray[np.uint8]

_NETWORK_TIMEOUT = 10.0  # seconds without an answer after which a download fails
_DOWNLOADED = ".downloaded"  # beside the files: the names of those that archsearch has downloaded, one a line
_MEAN_TOLERANCE = 0.002  # the means of Fashion-MNIST, KMNIST and MNIST differ by 0.06 or more


def missing_files(info: DatasetInfo, root: Path) -> list[str]:
    """The files of `info` that are not under `root`, neither plain nor gzipped."""
    if info.folder is None:
        return []
    return [name for name in FILES if _find(_raw_folder(info, root), name) is None]


def ensure_files(info: DatasetInfo, root: Path) -> None:
    """Download missing files into `root`.

    Raises `DataError`, which names the files and their folder, if the download fails, and `StorageError` if `root`
    cannot be written.
    """
    if not missing_files(info, root):
        return
    try:
        new_root = not root.exists()
        root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(_lock_path(root)):
                missing = missing_files(info, root)  # another process may have downloaded them
                if missing:
                    _download(info, root, missing)
        finally:
            if new_root and not any(root.iterdir()):
                root.rmdir()
    except OSError as error:
        raise StorageError(f"data.root={root}: cannot be written: {error.strerror or error}") from error


def check_files(info: DatasetInfo, root: Path) -> None:
    """Validate the files of `info`, once per process unless they change. Raises `DataError` like `read_files`."""
    if info.folder is None:
        return
    folder = _raw_folder(info, root)
    states = []
    for name in FILES:
        path = _find(folder, name)
        status = path.stat() if path is not None else None
        states.append((path, status and (status.st_size, status.st_mtime_ns, status.st_ino)))
    _check(info, root, tuple(states))


@lru_cache(maxsize=8)
def _check(info: DatasetInfo, root: Path, _states: tuple[object, ...]) -> None:
    read_files(info, root, mapped=True)


def read_files(info: DatasetInfo, root: Path, *, mapped: bool = False) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Train images (N, 28, 28), train labels (N,), test images, test labels, all uint8.

    With `mapped`, plain files are memory-mapped, so that processes share one copy. A file that is then truncated ends
    the process (SIGBUS). Raises `DataError` for files that are missing, damaged, swapped, or of another data set.
    """
    folder = _raw_folder(info, root)
    sizes = (info.train_images, info.train_images, info.test_images, info.test_images)
    shapes = ((28, 28), (), (28, 28), ())
    paths, arrays = [], []
    for name, size, shape in zip(FILES, sizes, shapes, strict=True):
        path = _find(folder, name)
        if path is None:
            raise DataError(_missing_data(info, folder, [name], "it is missing"))
        paths.append(path)
        arrays.append(_read_idx(path, (size, *shape), info, info.checksums.get(name), mapped=mapped))
    train_images, train_labels, test_images, test_labels = arrays
    for labels, path in ((train_labels, paths[1]), (test_labels, paths[3])):
        if labels.max() >= len(info.classes):
            problem = f"damaged: contains the label {labels.max()}; the labels of {info.title} are 0 to 9"
            raise _damaged(path, problem)
    mean = float(train_images.mean()) / 255
    if abs(mean - info.mean) > _MEAN_TOLERANCE:
        problem = f"not the training images of {info.title}: their mean is {mean:.4f}, must be {info.mean:.4f}"
        raise _damaged(paths[0], problem)
    return train_images, train_labels, test_images, test_labels


def _damaged(path: Path, problem: str) -> DataError:
    """The error for a damaged file, with advice: to delete it only if archsearch can download it again."""
    try:
        downloaded = path.name in (path.parent / _DOWNLOADED).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        downloaded = False
    advice = "delete it to download it again" if downloaded else "restore it, or name another folder with data.root"
    return DataError(f"{path}: {problem}; {advice}")


def _raw_folder(info: DatasetInfo, root: Path) -> Path:
    assert info.folder is not None
    return root / info.folder / "raw"


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read_idx(path: Path, shape: tuple[int, ...], info: DatasetInfo, checksum: str | None, *, mapped: bool) -> Bytes:
    """Read a file in IDX format: 0, 0, type (8 is uint8), number of dimensions, each as big-endian int32, bytes."""
    content: Bytes
    try:
        if path.suffix == ".gz":
            content = np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), np.uint8)
        elif mapped and path.stat().st_size:  # an empty file cannot be mapped
            content = np.asarray(np.memmap(path, np.uint8, mode="c"))  # "c" keeps writes private to the process
        else:
            content = np.fromfile(path, np.uint8)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _damaged(path, f"cannot be read: {error}") from error
    header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    expected = len(header) + int(np.prod(shape))
    if len(content) != expected:
        raise _damaged(path, f"damaged: got {len(content):,} bytes, must be {expected:,} for {info.title}")
    actual_header = content[: len(header)].tobytes()
    if actual_header != header:
        raise _damaged(path, f"wrong file: its header is {actual_header.hex()}, must be {header.hex()}")
    if checksum is not None and hashlib.sha256(content.data).hexdigest() != checksum:
        raise _damaged(path, f"damaged, or not of {info.title}: its SHA-256 is not {checksum[:12]}...")
    return content[len(header) :].reshape(shape)


def _download(info: DatasetInfo, root: Path, missing: list[str]) -> None:
    folder = _raw_folder(info, root)
    # Into a temporary folder first, so that an interrupted download leaves no incomplete file.
    with tempfile.TemporaryDirectory(dir=root, prefix="download-") as scratch, _network_timeout():
        try:
            from torchvision import datasets

            getattr(datasets, str(info.folder))(scratch, download=True)
        # Importing a torchvision that does not match torch is a RuntimeError. Downloads fail with any of the others.
        except (ImportError, RuntimeError, OSError, HTTPException) as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise DataError(_missing_data(info, folder, missing, f"downloading failed: {reason}")) from error
        folder.mkdir(parents=True, exist_ok=True)
        for name in missing:
            (_raw_folder(info, Path(scratch)) / name).replace(folder / name)
            with open(folder / _DOWNLOADED, "a", encoding="utf-8") as marker:
                marker.write(f"{name}\n")


def _lock_path(root: Path) -> Path:
    # Outside of `root`, which then stays empty if the download fails.
    name = hashlib.sha256(f"{getpass.getuser()}:{root.resolve()}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"archsearch-{name}.lock"


def _missing_data(info: DatasetInfo, folder: Path, missing: list[str], reason: str) -> str:
    return (
        f"data={info.name}: {info.title} is not on disk, and {reason}\n"
        f"  missing in {folder}: {', '.join(missing)} (plain or .gz)\n"
        "  set ARCHSEARCH_DATA (or data.root) to the folder of the data sets, or use data=digits, which needs no files"
    )


@contextmanager
def _network_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
