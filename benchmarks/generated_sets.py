#!/usr/bin/env python3
"""A command of archsearch on generated images in the files of a public data set, which need not be downloaded.

usage: python benchmarks/generated_sets.py FOLDER NAME [WORDS...]

NAME is cifar10, cifar100, svhn, emnist_balanced or emnist_letters. Its files are written below FOLDER, unless they are
there: as many images as the real ones have, in the same formats and under the same names, and twenty of the test set as
FOLDER/NAME-png/CLASS-NUMBER.png. Then `archsearch WORDS data=NAME data.root=FOLDER` runs, without the checksums of the
real files. A grey class is its letter; one in colour is stripes of a hue and a direction. All are noisy, and three
labels in a hundred are wrong, so that there are mistakes to look at.
"""

import pickle
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from arguments import parser_of
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.io import savemat

from archsearch.__main__ import run
from archsearch.data.catalogue import DATASETS
from archsearch.data.info import DatasetFiles, DatasetInfo

NAMES = ("cifar10", "cifar100", "svhn", "emnist_balanced", "emnist_letters")
VARIANTS = 8  # of each class, before the noise
NOISE = 60  # standard deviation, of 255
WRONG = 0.03  # share of the labels that are drawn anew
PICTURES = 20
Bytes = NDArray[np.uint8]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the files that are missing, and run the command."""
    parser = parser_of(__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the data sets")
    parser.add_argument("name", choices=NAMES)
    options, words = parser.parse_known_args(argv)
    info = DATASETS[options.name]
    assert info.files is not None
    if not (options.folder / info.files.folder / info.files.test[-1]).exists():
        write(info, info.files, options.folder)
    DATASETS[options.name] = replace(info, files=replace(info.files, checksums={}))
    if words:
        sys.exit(run([*words, f"data={options.name}", f"data.root={options.folder}"]))


def write(info: DatasetInfo, files: DatasetFiles, root: Path) -> None:
    """Write the training and the test files of `info` below `root`, and pictures of the test set."""
    folder, random = root / files.folder, np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    patterns = patterns_of(info, random)
    for names, count in ((files.train, info.train_images), (files.test, info.test_images)):
        labels = random.permutation(np.arange(count) % len(info.classes))
        images = noisy(patterns[labels, random.integers(VARIANTS, size=count)], random)
        labels = np.where(random.random(count) < WRONG, random.permutation(labels), labels)
        if files.format == "idx":
            stored = images[:, 0].swapaxes(1, 2) if files.transposed else images[:, 0]
            write_idx(folder / names[0], stored)
            write_idx(folder / names[1], (labels + files.first_label).astype(np.uint8))
        elif files.format == "svhn":
            digits = np.where(labels == 0, 10, labels).astype(np.uint8)
            savemat(folder / names[0], {"X": images.transpose(2, 3, 1, 0), "y": digits[:, None]})
        else:
            key = "labels" if info.name == "cifar10" else "fine_labels"
            for name, data, part in zip(names, np.split(images, len(names)), np.split(labels, len(names)), strict=True):
                content = {"data": data.reshape(len(data), -1), key: part.tolist()}
                (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    pictures = root / f"{info.name}-png"
    pictures.mkdir(exist_ok=True)
    for number, (image, label) in enumerate(zip(images[:PICTURES], labels[:PICTURES], strict=True)):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(pixels).save(pictures / f"{info.classes[label]}-{number}.png")


def patterns_of(info: DatasetInfo, random: np.random.Generator) -> Bytes:
    """What the images of each class look like: (classes, variants, channels, height, width)."""
    draw = letter if info.shape[0] == 1 else stripes
    return np.array([[draw(info, label, random) for _ in range(VARIANTS)] for label in range(len(info.classes))])


def letter(info: DatasetInfo, label: int, random: np.random.Generator) -> Bytes:
    """The first letter of the class's name, white on black."""
    _, height, width = info.shape
    image = Image.new("L", (width, height))
    centre = (width / 2 + random.integers(-3, 4), height / 2 + random.integers(-3, 4))
    ImageDraw.Draw(image).text(centre, info.classes[label][0], 255, ImageFont.load_default(22), anchor="mm")
    return np.asarray(image)[None]


def stripes(info: DatasetInfo, label: int, random: np.random.Generator) -> Bytes:
    """Stripes of one of ten hues, in one of up to ten directions; class 0 is red and vertical."""
    _, height, width = info.shape
    rows, columns = np.indices((height, width))
    angle = np.pi * (label // 10) / 10
    waves = np.cos(0.8 * (np.cos(angle) * columns + np.sin(angle) * rows) + random.uniform(0, 2 * np.pi))
    hsv = np.full((height, width, 3), (label % 10 * 25.6, 180, 0), np.uint8)
    hsv[..., 2] = 140 + 60 * waves
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB")).transpose(2, 0, 1)


def noisy(images: Bytes, random: np.random.Generator) -> Bytes:
    """`images` with noise, in place, a part at a time."""
    for start in range(0, len(images), 4096):
        part = images[start : start + 4096]
        noise = NOISE * random.standard_normal(part.shape, np.float32)
        images[start : start + 4096] = np.clip(part + noise, 0, 255).astype(np.uint8)
    return images


def write_idx(path: Path, array: Bytes) -> None:
    """Write `array` in MNIST's format."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.tobytes())


if __name__ == "__main__":
    main()
