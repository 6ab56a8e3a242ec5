"""Finding, downloading and validating the files of a public data set.

torchvision is used for downloading only. It takes two seconds to import, and raises a bare AssertionError for a
truncated file. Imports no torch unless something must be downloaded.
"""

import getpass
import hashlib
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from archsearch.data.formats import Bytes, FormatError, parse_cifar, parse_idx, parse_svhn, read_content
from archsearch.data.info import DatasetFiles, DatasetInfo
from archsearch.errors import DataError, StorageError

_NETWORK_TIMEOUT = 10.0  # seconds without an answer after which a download fails
_DOWNLOADED = ".downloaded"  # beside the files: the names of those that archsearch has downloaded, one a line
_MEAN_TOLERANCE = 0.002  # the means of Fashion-MNIST, KMNIST and MNIST differ by 0.06 or more
_MD5_DIGITS = 32
_OWN_DATA = "train on images of your own with data=image_folder, data=arrays or data=parquet"


def missing_files(info: DatasetInfo, root: Path) -> list[str]:
    """The files of `info` that are not under `root`, neither plain nor gzipped."""
    if info.files is None:
        return []
    return [name for name in info.files.names if _find(info.files, root, name) is None]


def ensure_files(info: DatasetInfo, root: Path) -> None:
    """Download missing files into `root`.

    Raises `DataError`, which names the files and their folder, if the download fails, and `StorageError` if `root`
    cannot be written.
    """
    if info.files is None or not missing_files(info, root):
        return
    try:
        new_root = not root.exists()
        root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(_lock_path(root)):
                missing = missing_files(info, root)  # another process may have downloaded them
                if missing:
                    _download(info, info.files, root, missing)
        finally:
            if new_root and not any(root.iterdir()):
                root.rmdir()
    except OSError as error:
        raise StorageError(f"data.root={root}: cannot be written: {error.strerror or error}") from error


def check_files(info: DatasetInfo, root: Path) -> None:
    """Validate the files of `info`, once per process unless they change. Raises `DataError` like `read_files`."""
    if info.files is None:
        return
    states = []
    for name in info.files.names:
        path = _find(info.files, root, name)
        status = path.stat() if path is not None else None
        states.append((path, status and (status.st_size, status.st_mtime_ns, status.st_ino)))
    _check(info, root, tuple(states))


@lru_cache(maxsize=8)
def _check(info: DatasetInfo, root: Path, _: tuple[object, ...]) -> None:
    read_files(info, root, mapped=True)


def read_files(info: DatasetInfo, root: Path, *, mapped: bool = False) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Read the training and test part of `info`: images (N, channels, height, width) and labels (N,) of each.

    If `mapped`, plain IDX files are memory-mapped, so that processes share one copy. A file that is then truncated ends
    the process (SIGBUS). Raises `DataError` for files that are missing, damaged, swapped, or of another data set.
    """
    assert info.files is not None
    train = _read_part(info, info.files, root, info.files.train, info.train_images, mapped=mapped)
    test = _read_part(info, info.files, root, info.files.test, info.test_images, mapped=mapped)
    if info.files.named_alike:
        mean = float(train[0].mean()) / 255
        if abs(mean - info.mean[0]) > _MEAN_TOLERANCE:
            problem = f"not the training images of {info.title}: their mean is {mean:.4f}, must be {info.mean[0]:.4f}"
            raise _mistaken(_found(info, root, info.files.train[0]), problem)
    return *train, *test


def _read_part(
    info: DatasetInfo, files: DatasetFiles, root: Path, names: Sequence[str], size: int, *, mapped: bool
) -> tuple[Bytes, Bytes]:
    paths = [_found(info, root, name) for name in names]
    labels: Bytes | NDArray[np.int64]
    if files.format == "idx":
        images = _parsed_idx(info, paths[0], names[0], (size, *info.shape[1:]), mapped=mapped)[:, None]
        labels = _parsed_idx(info, paths[1], names[1], (size,), mapped=mapped)
    else:
        parts = [_parsed_archive(info, files, path, name) for path, name in zip(paths, names, strict=True)]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if images.shape != (size, *info.shape):
            raise _other_size(info, paths[0], images.shape, (size, *info.shape))
    if files.transposed:
        images = images.swapaxes(2, 3)
    first, last = files.first_label, files.first_label + len(info.classes) - 1
    wrong = labels[(labels < first) | (labels > last)]
    if len(wrong):
        problem = f"contains the label {wrong[0]}; the labels of {info.title} are {first} to {last}"
        raise _mistaken(paths[-1], f"damaged: {problem}")
    if first:
        labels = labels - first
    return images, labels.astype(np.uint8, copy=False)


def _parsed_idx(info: DatasetInfo, path: Path, name: str, shape: tuple[int, ...], *, mapped: bool) -> Bytes:
    try:
        content = read_content(path, mapped=mapped)
        array = parse_idx(content, len(shape))
    except FormatError as error:
        raise _mistaken(path, str(error)) from error
    if array.shape != shape:
        raise _other_size(info, path, array.shape, shape)
    _check_sum(info, path, name, content)
    return array


def _parsed_archive(info: DatasetInfo, files: DatasetFiles, path: Path, name: str) -> tuple[Bytes, NDArray[np.int64]]:
    try:
        content = read_content(path)
        _check_sum(info, path, name, content)
        return parse_cifar(content, info.shape) if files.format == "cifar" else parse_svhn(content)
    except FormatError as error:
        raise _mistaken(path, str(error)) from error


def _check_sum(info: DatasetInfo, path: Path, name: str, content: Bytes) -> None:
    assert info.files is not None
    expected = info.files.checksums.get(name)
    if expected is None:
        return
    is_md5 = len(expected) == _MD5_DIGITS
    digest = hashlib.md5(content.data, usedforsecurity=False) if is_md5 else hashlib.sha256(content.data)
    if digest.hexdigest() != expected:
        kind = "MD5" if is_md5 else "SHA-256"
        raise _mistaken(path, f"damaged, or not of {info.title}: its {kind} is not {expected[:12]}...")


def _other_size(info: DatasetInfo, path: Path, got: tuple[int, ...], expected: tuple[int, ...]) -> DataError:
    sizes = [" x ".join(f"{size:,}" for size in shape) for shape in (got, expected)]
    return _mistaken(path, f"not of {info.title}: holds {sizes[0]} values, must be {sizes[1]}", _OWN_DATA)


def _mistaken(path: Path, problem: str, otherwise: str = "restore it") -> DataError:
    """The error for a file that is not what it should be: to be deleted only if archsearch can download it again."""
    try:
        downloaded = path.name in (path.parent / _DOWNLOADED).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        downloaded = False
    advice = "delete it to download it again" if downloaded else f"{otherwise}, or name another folder with data.root"
    return DataError(f"{path}: {problem}; {advice}")


def _find(files: DatasetFiles, root: Path, name: str) -> Path | None:
    """The file `name`, plain or gzipped, in its folder below `root` or in `root` itself."""
    candidates = (folder / file for folder in (root / files.folder, root) for file in (name, f"{name}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def _found(info: DatasetInfo, root: Path, name: str) -> Path:
    assert info.files is not None
    path = _find(info.files, root, name)
    if path is None:
        raise DataError(_missing_data(info, info.files, root, [name], "it is missing"))
    return path


def _download(info: DatasetInfo, files: DatasetFiles, root: Path, missing: Sequence[str]) -> None:
    # Into a temporary folder first, so that an interrupted download leaves no incomplete file.
    with tempfile.TemporaryDirectory(dir=root, prefix="download-") as scratch, _network_timeout():
        try:
            from torchvision import datasets

            for arguments in files.downloads:
                options: dict[str, Any] = dict(arguments)
                getattr(datasets, files.torchvision)(scratch, download=True, **options)
        # Importing a torchvision that does not match torch is a RuntimeError. Downloads fail with any of the others.
        except (ImportError, RuntimeError, OSError, HTTPException) as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise DataError(_missing_data(info, files, root, missing, f"downloading failed: {reason}")) from error
        folder = root / files.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in missing:
            (Path(scratch) / files.folder / name).replace(folder / name)
            with open(folder / _DOWNLOADED, "a", encoding="utf-8") as marker:
                marker.write(f"{name}\n")


def _lock_path(root: Path) -> Path:
    # Outside of `root`, which then stays empty if the download fails.
    name = hashlib.sha256(f"{getpass.getuser()}:{root.resolve()}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"archsearch-{name}.lock"


def _missing_data(info: DatasetInfo, files: DatasetFiles, root: Path, missing: Sequence[str], reason: str) -> str:
    return (
        f"data={info.name}: {info.title} is not on disk, and {reason}\n"
        f"  missing in {root / files.folder}: {', '.join(missing)} (plain or .gz)\n"
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
