#!/usr/bin/env python3
"""How long archsearch takes to read the real MNIST from an image folder of 70,000 PNG files.

usage: python benchmarks/png_folder.py FOLDER

Writes FOLDER/train/7/00012.png and so on, from the files in ARCHSEARCH_DATA, and reads them with a new cache,
FOLDER/.cache. Then `data=image_folder data.root=FOLDER` trains on them, with ARCHSEARCH_CACHE=FOLDER/.cache from the
same cache. The files were just written, so the system has them in memory.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from arguments import data_root, parser_of
from PIL import Image

from archsearch.config.settings import DataSettings
from archsearch.data.catalogue import DATASETS
from archsearch.data.load import Dataset, load
from archsearch.data.own.dataset import own_dataset

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> None:
    """Write the folder, and print the seconds of each step."""
    parser = parser_of(__doc__)
    parser.add_argument("folder", type=Path, help="a folder to create")
    folder: Path = parser.parse_args(argv).folder
    if folder.exists():
        parser.error(f"{folder} exists")
    mnist = load(DATASETS["mnist"], data_root())
    timed("write 70,000 PNG files", lambda: write(mnist, folder))
    os.environ["ARCHSEARCH_CACHE"] = str(folder / ".cache")
    settings = DataSettings(name="image_folder", root=str(folder))
    timed("build the cache", lambda: own_dataset(settings))
    info = timed("find it again, by the names, sizes and times of the files", lambda: own_dataset(settings))
    timed("load the arrays", lambda: load(info, folder))
    print(f"mean {info.mean[0]}, standard deviation {info.std[0]}; of data=mnist {mnist.info.mean[0]}, ", end="")
    print(mnist.info.std[0])


def timed(step: str, action: Callable[[], T]) -> T:
    """What `action` returns; its seconds are printed."""
    start = time.perf_counter()
    result = action()
    print(f"{time.perf_counter() - start:6.2f} s  {step}", flush=True)
    return result


def write(data: Dataset, folder: Path) -> None:
    """Write the images of `data` as PNG files, in a folder for each class of each part."""
    parts = {"train": (data.train_images, data.train_labels), "test": (data.test_images, data.test_labels)}
    for part, (images, labels) in parts.items():
        for name in data.info.classes:
            (folder / part / name).mkdir(parents=True)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image[0]).save(folder / part / data.info.classes[label] / f"{index:05}.png")


if __name__ == "__main__":
    main()
