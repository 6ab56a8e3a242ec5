"""Image folders: layouts, sizes, what is left out, and the cache."""

import errno
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from archsearch.config.settings import DataSettings
from archsearch.data.load import Dataset, holdout, load
from archsearch.data.own.dataset import own_dataset
from archsearch.errors import ConfigError, DataError, StorageError
from tests.data.own.conftest import WriteImages


def settings(root: Path, size: int | tuple[int, int] | None = None, validation: int | None = None) -> DataSettings:
    return DataSettings(name="image_folder", root=str(root), size=size, validation=validation)


def read(root: Path, size: int | tuple[int, int] | None = None) -> Dataset:
    return load(own_dataset(settings(root, size)), root)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).transpose(2, 0, 1)


def test_a_folder_a_class_is_split_by_the_names_of_its_files(photographs: Path) -> None:
    data = read(photographs)
    info = data.info
    assert (info.title, info.classes, info.shape) == ("photographs", ("cats", "dogs"), (3, 10, 12))
    assert np.bincount(data.test_labels).tolist() == [2, 3] and np.bincount(data.train_labels).tolist() == [10, 15]
    everything = np.concatenate([data.train_images, data.test_images])
    written = np.stack([pixels(path) for path in sorted(photographs.rglob("*.png"))])
    assert sorted(map(bytes, everything)) == sorted(map(bytes, written))
    scaled = data.train_images / 255
    assert info.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), abs=1e-5)
    assert info.std == pytest.approx(scaled.std(axis=(0, 2, 3)), abs=1e-5)


def test_the_test_images_are_the_same_on_every_machine(photographs: Path) -> None:
    tested = {bytes(image) for image in read(photographs).test_images}
    chosen = sorted(path for path in photographs.rglob("*.png") if bytes(pixels(path)) in tested)
    assert [path.relative_to(photographs).as_posix() for path in chosen] == [
        *("cats/006.png", "cats/011.png"),
        *("dogs/006.png", "dogs/009.png", "dogs/013.png"),
    ]


def test_train_val_and_test_are_what_their_names_say(tmp_path: Path, write_images: WriteImages) -> None:
    for part, count in (("train", 9), ("val", 4), ("test", 5)):
        for name in ("cats", "dogs"):
            write_images(f"set/{part}/{name}", count)
    data = read(tmp_path / "set")
    assert (data.info.train_images, data.info.validation_images, data.info.test_images) == (26, 8, 10)
    kept, held_out = holdout(data.info, data.train_labels, settings(tmp_path))
    validation = {bytes(pixels(path)) for path in (tmp_path / "set" / "val").rglob("*.png")}
    assert {bytes(image) for image in data.train_images[held_out]} == validation and len(kept) == 18
    assert len(holdout(data.info, data.train_labels, settings(tmp_path, validation=0))[0]) == 26
    with pytest.raises(ConfigError, match=r"data.validation: got 5, must be null or 0: set has 8 validation images"):
        holdout(data.info, data.train_labels, settings(tmp_path, validation=5))


def test_without_size_images_must_have_one(photographs: Path, write_images: WriteImages) -> None:
    write_images("photographs/cats/more", 2, size=(40, 30))
    with pytest.raises(ConfigError, match=r"data.size: got null, but the images have 2 sizes, from 10x12 to 30x40"):
        own_dataset(settings(photographs))
    assert own_dataset(settings(photographs, 16)).shape == (3, 16, 16)
    assert own_dataset(settings(photographs, (8, 16))).shape == (3, 8, 16)


def test_images_are_scaled_and_cropped_around_their_centre(tmp_path: Path) -> None:
    for name, colour in (("left", 0), ("right", 200)):
        (tmp_path / "set" / name).mkdir(parents=True)
        image = np.full((20, 60, 3), colour, np.uint8)
        image[:, :20] = image[:, 40:] = 255  # outside of the square in the centre
        for number in range(6):
            Image.fromarray(image).save(tmp_path / "set" / name / f"{number}.png")
    data = read(tmp_path / "set", 10)
    centres = data.train_images[:, :, 2:-2, 2:-2]
    assert [int(image.max()) for image in centres] == [int(image.min()) for image in centres]
    assert sorted({int(image.max()) for image in centres}) == [0, 200]


def test_names_of_parts_are_read_in_any_case(tmp_path: Path, write_images: WriteImages) -> None:
    for part, count in (("Training", 9), ("Testing", 5)):
        for name in ("cats", "dogs"):
            write_images(f"set/{part}/{name}", count)
    info = own_dataset(settings(tmp_path / "set"))
    assert (info.classes, info.train_images, info.test_images) == (("cats", "dogs"), 18, 10)


def test_a_class_may_be_called_train(tmp_path: Path, write_images: WriteImages) -> None:
    write_images("set/train", 6)
    write_images("set/car", 6)
    assert own_dataset(settings(tmp_path / "set")).classes == ("car", "train")


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 3)])
def test_images_are_grey_if_all_are(tmp_path: Path, write_images: WriteImages, mode: str, channels: int) -> None:
    write_images("set/a", 6, mode="L")
    write_images("set/b", 6, mode=mode)
    assert own_dataset(settings(tmp_path / "set")).shape[0] == channels


def test_photographs_are_turned_as_their_camera_says(tmp_path: Path, write_images: WriteImages) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    for name in ("a", "b"):
        for path in write_images(f"set/{name}", 3, size=(12, 10)).iterdir():
            Image.open(path).save(path.with_suffix(".jpg"), exif=exif)
            path.unlink()
    assert own_dataset(settings(tmp_path / "set")).shape == (3, 12, 10)


def test_what_cannot_be_read_is_named_and_left_out(
    photographs: Path, write_images: WriteImages, caplog: pytest.LogCaptureFixture
) -> None:
    (photographs / "cats" / "empty.png").touch()
    (photographs / "cats" / "broken.jpg").write_bytes(b"no image")
    whole = (photographs / "dogs" / "000.png").read_bytes()
    (photographs / "dogs" / "half.png").write_bytes(whole[: len(whole) // 2])
    (photographs / "dogs" / ".hidden.png").write_bytes(b"not looked at")
    (photographs / "dogs" / "itself.png").symlink_to("itself.png")
    (photographs / "dogs" / "list.txt").touch()
    (photographs / "eels").mkdir()
    write_images("photographs/.thumbnails", 3)
    with caplog.at_level(logging.WARNING):
        data = read(photographs)
    assert data.info.train_images + data.info.test_images == 30 == len(data.train_images) + len(data.test_images)
    assert (
        "4 of 34 images left out" in caplog.text
        and "left out, because they are no images of a class: dogs/list.txt" in caplog.text
    )
    assert "left out, because they have no images: eels" in caplog.text
    loop = "dogs/itself.png (Too many levels of symbolic links)"
    for name in ("cats/empty.png (empty)", "cats/broken.jpg (cannot identify image file)", "dogs/half.png", loop):
        assert name in caplog.text
    assert "hidden" not in caplog.text and "thumbnails" not in caplog.text
    assert "delete" not in caplog.text


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ((), "must be a folder with a folder of images for each class, is none"),
        (("one",), "found images of one, among 3 files"),
        (("val/a", "val/b", "test/a"), "either all in one folder or in train/, .* found images of test, val, among 9"),
        (("train", "test"), "found images of test, train, among 6 files"),
        (("train/more/a", "empty"), "found images of more"),
        (("train/a", "train/b", "test/c"), "no training images of c"),
    ],
)
def test_folders_that_are_no_data_set_are_refused(
    tmp_path: Path, write_images: WriteImages, layout: tuple[str, ...], message: str
) -> None:
    for folder in layout:
        write_images(f"set/{folder}", 3)
    with pytest.raises(DataError, match=message):
        own_dataset(settings(tmp_path / "set"))


def test_images_are_decoded_once_until_a_file_changes(photographs: Path, cache: Path) -> None:
    first = own_dataset(settings(photographs))
    before = {path: path.stat().st_mtime_ns for path in photographs.rglob("*")}
    (entry,) = (path for path in cache.iterdir() if path.is_dir())
    written = (entry / "images.npy").stat().st_mtime_ns
    assert own_dataset(settings(photographs)) == first and (entry / "images.npy").stat().st_mtime_ns == written
    assert {path: path.stat().st_mtime_ns for path in photographs.rglob("*")} == before
    image = photographs / "dogs" / "003.png"
    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(image)
    os.utime(image, ns=(1, 1))
    changed = own_dataset(settings(photographs))
    assert changed.cache != first.cache and changed.content != first.content


def test_a_folder_that_moved_has_the_same_content(photographs: Path) -> None:
    first = own_dataset(settings(photographs))
    moved = photographs.rename(photographs.with_name("moved"))
    again = own_dataset(settings(moved))
    assert (again.content, again.title) == (first.content, "moved")


def test_links_in_a_circle_are_followed_once(photographs: Path) -> None:
    (photographs / "dogs" / "again").symlink_to(photographs)
    assert own_dataset(settings(photographs)).train_images == 25


def test_arrays_are_mapped_or_read_into_memory(photographs: Path) -> None:
    info = own_dataset(settings(photographs))
    mapped, read_in = (load(info, photographs, mapped=mapped).train_images for mapped in (True, False))
    np.testing.assert_array_equal(mapped, read_in)
    owners = [images.base if isinstance(images.base, np.memmap) else None for images in (mapped, read_in)]
    assert owners[0] is not None and owners[1] is None


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
@pytest.mark.parametrize("left", [b"", b"part of a file", None])
def test_a_damaged_entry_of_the_cache_is_written_again(
    photographs: Path, cache: Path, name: str, left: bytes | None
) -> None:
    info = own_dataset(settings(photographs))
    file = cache / str(info.cache) / name
    file.unlink() if left is None else file.write_bytes(left)
    with pytest.raises(DataError, match=r"the cache of photographs cannot be read: .*; start again"):
        load(info, photographs)
    assert own_dataset(settings(photographs)) == info and len(load(info, photographs).train_images) == 25


def test_what_a_killed_process_left_in_the_cache_is_removed(photographs: Path, cache: Path) -> None:
    for name in ("killed", "busy"):
        (cache / f".{name}-x1").mkdir(parents=True)
        (cache / f".{name}-x1" / "images.npy").touch()
    with FileLock(cache / ".busy.lock"):
        own_dataset(settings(photographs))
    assert [path.name for path in cache.glob(".*-*")] == [".busy-x1"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_full_disk_is_an_error(photographs: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(StorageError, match=r"the cache cannot be written: No space left on device; ARCHSEARCH_CACHE"):
        own_dataset(settings(photographs))
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_a_cache_that_cannot_be_written_is_named(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSEARCH_CACHE", "/dev/null/cache")
    with pytest.raises(StorageError, match=r"/dev/null/cache: the cache cannot be written.*; ARCHSEARCH_CACHE"):
        own_dataset(settings(photographs))
