"""Parquet files as Hugging Face writes image data sets."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from archsearch.config.settings import DataSettings
from archsearch.data.info import DatasetInfo
from archsearch.data.load import load
from archsearch.data.own.dataset import own_dataset
from archsearch.errors import DataError

NAMES = ("cat", "dog")


def write(path: Path, labels: list[int], names: tuple[str, ...] | None = NAMES, column: str = "label") -> np.ndarray:
    """Write an image for each label; returns them (N, 3, 6, 8)."""
    pixels = np.random.default_rng(len(labels)).integers(0, 256, (len(labels), 6, 8, 3), dtype=np.uint8)
    images = []
    for image in pixels:
        content = io.BytesIO()
        Image.fromarray(image).save(content, "png")
        images.append({"bytes": content.getvalue(), "path": "x.png"})
    table = pa.table({"image": images, column: labels})
    if names is not None:
        features = {"image": {"_type": "Image"}, column: {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)
    return pixels.transpose(0, 3, 1, 2)


def info_of(path: Path) -> DatasetInfo:
    return own_dataset(DataSettings(name="parquet", path=str(path)))


def test_the_parts_of_a_folder_are_read(tmp_path: Path) -> None:
    first = write(tmp_path / "data" / "train-00000-of-00002.parquet", [0, 1] * 5)
    second = write(tmp_path / "data" / "train-00001-of-00002.parquet", [1, 0, 1])
    validation = write(tmp_path / "data" / "validation-00000-of-00001.parquet", [1, 0])
    test = write(tmp_path / "data" / "Test-00000-of-00001.parquet", [0, 1, 1, 0])
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "train.parquet").write_bytes(b"a part of a download")
    data = load(info_of(tmp_path), tmp_path)
    assert (data.info.classes, data.info.shape, data.info.validation_images) == (NAMES, (3, 6, 8), 2)
    np.testing.assert_array_equal(data.train_images, np.concatenate([first, second, validation]))
    assert data.train_labels.tolist() == [0, 1] * 5 + [1, 0, 1, 1, 0]
    np.testing.assert_array_equal(data.test_images, test)


def test_one_file_is_split_by_the_fixed_rule(tmp_path: Path) -> None:
    write(tmp_path / "all.parquet", [0, 1] * 9, names=None, column="fine_label")
    info = info_of(tmp_path / "all.parquet")
    assert (info.classes, info.train_images, info.test_images) == (("0", "1"), 16, 2)


def test_a_part_without_labels_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "train.parquet", [0, 1] * 6)
    write(tmp_path / "test.parquet", [-1] * 4)
    info = info_of(tmp_path)
    assert info.train_images + info.test_images == 12
    assert "test.parquet has no labels" in caplog.text


@pytest.mark.parametrize("kind", [pa.large_binary(), pa.binary_view()])
def test_images_may_be_in_columns_of_other_libraries(tmp_path: Path, kind: pa.DataType) -> None:
    write(tmp_path / "all.parquet", [0, 1] * 9)
    table = pq.read_table(tmp_path / "all.parquet")
    contents = pa.array([image["bytes"] for image in table.column("image").to_pylist()], kind)
    pq.write_table(pa.table({"image": contents, "label": table.column("label")}), tmp_path / "all.parquet")
    pq.write_table(pa.table({"image": contents[:0], "label": pa.array([], pa.int64())}), tmp_path / "none.parquet")
    assert info_of(tmp_path).train_images == 16


def test_a_column_named_image_comes_before_others_with_bytes(tmp_path: Path) -> None:
    write(tmp_path / "all.parquet", [0, 1] * 9)
    table = pq.read_table(tmp_path / "all.parquet")
    pq.write_table(table.add_column(0, "id", pa.array([b"id"] * 18)), tmp_path / "all.parquet")
    assert info_of(tmp_path).train_images == 16


@pytest.mark.parametrize("metadata", [b"no JSON", b'{"info": {"features": ["label"]}}'])
def test_metadata_of_another_form_are_ignored(tmp_path: Path, metadata: bytes) -> None:
    write(tmp_path / "all.parquet", [0, 1] * 9, names=None)
    table = pq.read_table(tmp_path / "all.parquet").replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "all.parquet")
    assert info_of(tmp_path).classes == ("0", "1")


@pytest.mark.parametrize(("names", "problem"), [(("image", "target"), "label"), (("picture", "label"), "image")])
def test_a_file_without_the_columns_of_the_first_one_is_named(
    tmp_path: Path, names: tuple[str, str], problem: str
) -> None:
    for name in ("test", "train"):
        write(tmp_path / f"{name}.parquet", [0, 1] * 6)
    table = pq.read_table(tmp_path / "train.parquet").rename_columns(list(names))
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(DataError, match=f'train.parquet: cannot be read as Parquet: .*"{problem}" does not exist'):
        info_of(tmp_path)


def test_what_is_no_image_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must be a Parquet file, or a folder with .parquet files, is neither"):
        info_of(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x.parquet: cannot be read as Parquet"):
        info_of(tmp_path)
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(
        DataError, match=r"x.parquet: must have a column with the bytes .*, got the columns text \(string"
    ):
        info_of(tmp_path)
    write(tmp_path / "x.parquet", [0, 1] * 9, names=("cat", "cat"))
    with pytest.raises(DataError, match=r"classes must have different names, got 'cat' 2 times"):
        info_of(tmp_path)
    write(tmp_path / "x.parquet", [0, 1, 2])
    with pytest.raises(DataError, match=r"labels must be integers from 0 to 1, got 0 to 2"):
        info_of(tmp_path)
