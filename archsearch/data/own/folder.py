"""`data=image_folder`: a folder a class, all in one, or in train/, val/ and test/."""

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

import numpy as np

from archsearch.data.formats import IMAGE_SUFFIXES
from archsearch.data.own.collection import TEST, TRAIN, VALIDATION, Collection, some
from archsearch.data.own.split import with_test_part
from archsearch.errors import DataError

_NAMES = {TRAIN: ("train", "training"), VALIDATION: ("val", "valid", "validation"), TEST: ("test", "testing")}
_PARTS = {name: part for part, names in _NAMES.items() for name in names}  # in any case: Train/, Test/

State = tuple[str, int, int]  # of a file: path below the root, size in bytes, modification time in nanoseconds
_NO_STATE = (-1, -1)  # of a link to nothing or to itself, which is then named as unreadable


def scan(root: Path) -> list[State]:
    """The files below `root` in folders, in order. Hidden files and folders are ignored. Raises `DataError`."""
    if not root.is_dir():
        raise DataError(f"data.root={root}: must be a folder with a folder of images for each class, is none")

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error

    files: list[State] = []
    seen: set[Path] = set()
    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:  # links in a circle, or to a folder that is there twice
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(folder).relative_to(root)
        for name in sorted(names) if below.parts else ():
            if name.startswith("."):
                continue
            try:
                status = Path(folder, name).stat()
            except OSError:
                files.append((str(below / name), *_NO_STATE))
                continue
            if S_ISREG(status.st_mode):
                files.append((str(below / name), status.st_size, status.st_mtime_ns))
    return files


def collect(root: Path, states: list[State]) -> Collection:
    """The images among the files `states` of `root`. Raises `DataError` if they do not form classes."""
    # A folder train/ with images in itself is a class, if others are, too.
    has_parts = any(_part(name) == TRAIN and len(Path(name).parts) > 2 for name, _, _ in states)
    images, others, parts, labels = [], [], [], []
    for name, _, _ in states:
        folders = Path(name).parts[:-1]
        part, inner = (_part(name), folders[1:]) if has_parts else (TRAIN, folders)
        if not name.lower().endswith(IMAGE_SUFFIXES) or part is None or not inner:
            others.append(name)
            continue
        images.append(name)
        parts.append(part)
        labels.append(inner[0])
    classes = tuple(sorted({label for label, part in zip(labels, parts, strict=True) if part == TRAIN}))
    if len(classes) < 2 or all(name.lower() in _PARTS for name in classes):
        there = f"found images of {some(classes)}" if classes else "found no images in folders"
        rule = "must have a folder of images for each class, either all in one folder or in train/, val/ and test/"
        raise DataError(f"data.root={root}: {rule}; {there}, among {len(states):,} files")
    unknown = sorted({label for label in labels if label not in classes})
    if unknown:
        raise DataError(f"data.root={root}: no training images of {some(unknown)}; every class needs some in train/")
    numbers = {name: number for number, name in enumerate(classes)}
    label_numbers = np.array([numbers[label] for label in labels], np.int64)
    # The class and what is below it: the same images are chosen whether or not they lie in train/.
    hashed = ["/".join(Path(name).parts[1 if has_parts else 0 :]) for name in images]

    def read() -> Iterator[Path]:
        return (root / name for name in images)

    tops = {Path(name).parts[0] for name in images if _part(name) == TRAIN} if has_parts else {""}
    empty = [name for top in sorted(tops) for name in _folders(root, top) if Path(name).name not in classes]
    notes = [f"left out, because they are no images of a class: {some(others)}"] if others else []
    notes += [f"left out, because they have no images: {some(empty)}"] if empty else []
    chosen = with_test_part(hashed, label_numbers, np.array(parts, np.int64))
    return Collection(classes, images, label_numbers, chosen, read=read, notes=tuple(notes))


def _folders(root: Path, top: str) -> list[str]:
    """The folders in the folder `top` of `root` that are not hidden, with their path below `root`."""
    folders = (path for path in (root / top).iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(str(path.relative_to(root)) for path in folders)


def _part(name: str) -> int | None:
    """The part that the first folder of the file `name` stands for, if it stands for one."""
    return _PARTS.get(Path(name).parts[0].lower())
