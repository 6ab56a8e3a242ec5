"""Predictions from raw pixels: of arrays, of files of any size and mode, and of files that cannot be read."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import archsearch
from archsearch.deploy.pictures import converted, find_files, read_picture
from archsearch.errors import DataError
from archsearch.predict import predict
from tests.support.runs import RUN

GREY = (1, 28, 28)


@pytest.fixture
def expected(trained: Path) -> list[str]:
    """What the run itself has recorded for the test images."""
    run = archsearch.Run(RUN)
    return [run.class_names[label] for label in run.predictions["prediction"]]


def test_a_run_predicts_from_raw_pixels(trained: Path, digits: Any, expected: list[str]) -> None:
    run = archsearch.Run(RUN)
    table = run.predict(digits)
    assert list(table["prediction"]) == expected
    np.testing.assert_allclose(table["confidence"], run.predictions["confidence"], atol=1e-4)
    for images in (digits[..., None], torch.from_numpy(digits[:, None]), list(digits), [*map(Image.fromarray, digits)]):
        assert list(run.predict(images)["prediction"]) == expected
    classifier = run.classifier()
    assert classifier(torch.from_numpy(digits[:3])).shape == (3, 10) and classifier.class_names == run.class_names


def test_images_of_another_size_and_mode_are_converted(trained: Path, digits: Any, expected: list[str]) -> None:
    large = digits.repeat(4, axis=1).repeat(4, axis=2)  # resizing it gives the digits again, nearly
    colours = np.stack([large] * 3, axis=3)
    run = archsearch.Run(RUN)
    for images in (large, colours, colours.transpose(0, 3, 1, 2)):
        assert np.mean(run.predict(images)["prediction"] == expected) > 0.9


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), "must be uint8"),
        ([np.zeros((28, 28, 2), np.uint8)], r"got an image of uint8 \(28, 28, 2\)"),
        (
            np.zeros((40, 30, 3), np.uint8),
            r"got one image, of shape \(40, 30, 3\), must be an array of images, or a list",
        ),
        ([np.zeros((0, 28), np.uint8)], r"got an image of uint8 \(0, 28\)"),
        ([], "got list, must be an array of images"),
        (None, "got NoneType"),
    ],
)
def test_what_are_no_images_is_refused(trained: Path, images: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        archsearch.Run(RUN).predict(images)


def test_pictures_of_every_mode_are_converted() -> None:
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    pixels = {mode: converted(grey.convert(mode), (1, 16, 16)) for mode in ("L", "RGB", "RGBA", "P", "LA")}
    for mode, values in pixels.items():
        assert np.abs(values.astype(int) - pixels["L"]).max() <= 1, mode
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    np.testing.assert_array_equal(converted(deep, (1, 16, 16)), pixels["L"])
    assert converted(grey, (3, 8, 10)).shape == (3, 8, 10)
    with pytest.raises(DataError, match="images of 2 channels"):
        converted(grey, (2, 8, 8))


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    upright = np.zeros((28, 28), np.uint8)
    upright[:14] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(upright[::-1, ::-1]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "a.png"), GREY), upright[None])


def test_folders_are_searched_for_images(pictures: Path) -> None:
    names = [Path(file).relative_to(pictures).as_posix() for file in find_files([str(pictures)])]
    assert names == [*(f"{number}.png" for number in range(7)), *(f"more/{number}.png" for number in (7, 8, 9))]
    (pictures / "empty").mkdir()
    with pytest.raises(DataError, match="empty: there are no images"):
        find_files([str(pictures / "empty")])


@pytest.mark.e2e
def test_the_command_answers_in_csv(
    trained: Path, pictures: Path, expected: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert predict([f"run={RUN}", "batch_size=3", "top=2", str(pictures)]) == 0
    done = capfd.readouterr()
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["class"] for row in rows if row["rank"] == "1"] == expected[:10]
    assert len(rows) == 20 and float(rows[0]["probability"]) >= float(rows[1]["probability"])
    assert done.err.startswith("run ") and "val " in done.err


@pytest.mark.e2e
def test_unreadable_files_are_named_and_the_others_answered_in_json(
    trained: Path, pictures: Path, expected: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    whole, cut = (pictures / "1.png").read_bytes(), pictures / "1.png"
    cut.write_bytes(whole[: len(whole) // 2])
    arguments = [f"run={RUN}", "format=json", str(pictures / "missing.png"), str(pictures), str(pictures / "notes.txt")]
    assert predict(arguments) == 1
    done = capfd.readouterr()
    answers = json.loads(done.out)
    assert [answer["classes"][0]["class"] for answer in answers] == [expected[0], *expected[2:10]]
    assert "3 of 12 files cannot be read:" in done.err
    for line in ("missing.png: there is no such file", "1.png: ", "notes.txt: not an image, or of an unknown format"):
        assert line in done.err


@pytest.mark.e2e
@pytest.mark.parametrize("form", ["csv", "json"])
def test_file_names_need_not_be_utf8(trained: Path, pictures: Path, form: str) -> None:
    name = bytes(pictures) + b"/caf\xe9.png"
    (pictures / "3.png").rename(os.fsdecode(name))
    command = [sys.executable, "-m", "archsearch.predict", f"run={RUN}", f"format={form}", str(pictures)]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    out = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    if form == "csv":
        assert b"\n" + name + b",1," in out
    else:
        assert os.fsdecode(name) in [answer["file"] for answer in json.loads(out)]


def test_what_is_empty_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    for content in (str(tmp_path / "a.png"), b""):  # a file, and what standard input had
        with pytest.raises(DataError, match=r"^empty$"):
            read_picture(content, GREY)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (("", "not a regular file"), ("no.png", "no such file"), ("pipe", "not a regular file")):
        file = str(tmp_path / name) if name else ""
        assert find_files([file]) == [file]
        with pytest.raises(DataError, match=problem):
            read_picture(file, GREY)


@pytest.mark.e2e
def test_standard_input_is_an_image(
    trained: Path, pictures: Path, expected: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((pictures / "2.png").read_bytes())))
    assert predict(["-"]) == 0
    assert f"\n-,1,{expected[2]}," in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["top=0", "a.png"], "top: got 0, must be at least 1"),
        (["format=xml", "a.png"], "format: got 'xml', must be one of csv, json"),
        (["tpo=2", "a.png"], "tpo: unknown setting (did you mean top?); for a file of this name, write ./tpo=2"),
        (["--top", "a.png"], "--top: unknown flag"),
        (["run=last", "sweep=a", "a.png"], "sweep=a goes with run=best, got run=last"),
        (["run=", "a.png"], "run: must not be empty"),
        ([], "no files: there are no images; name image files"),
        (["a.png"], "run=last: there is no run under outputs/"),
        (["run=best", "a.png"], "run=best, sweep=last: no sweep under outputs/"),
    ],
)
def test_wrong_words_are_refused(
    workspace: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert predict(arguments) == 2
    assert message in capfd.readouterr().err
