"""Predictions of images: the most probable classes of arrays, and of files, as CSV or JSON."""

import csv
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import TextIOWrapper
from typing import Any, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.deploy.chosen import choose_run
from archsearch.deploy.pictures import CHANNELS, Pixels, find_files, from_arrays, read_picture
from archsearch.deploy.words import PredictOptions
from archsearch.errors import DataError, RunError
from archsearch.model.classifier import Classifier, Preprocessing
from archsearch.model.tree import Shape
from archsearch.runs.formatting import count
from archsearch.system.bar import ProgressBar

_BATCH = 256  # images of an array at a time


def pixels_of(images: Any, preprocessing: Preprocessing) -> Tensor:
    """`images` as what `preprocessing` takes: an array or a tensor that fits as it is, others image by image.

    Raises `DataError` for what are no images.
    """
    if isinstance(images, np.ndarray | Tensor):
        batch = torch.as_tensor(np.ascontiguousarray(images) if isinstance(images, np.ndarray) else images).cpu()
        try:
            return preprocessing.channels_first(batch)
        except ValueError as error:
            if batch.dim() == 3 and (batch.shape == preprocessing.shape or batch.shape[2] in CHANNELS):
                rule = "must be an array of images, or a list, as in predict([image])"
                raise DataError(f"got one image, of shape {tuple(batch.shape)}, {rule}") from error
            if batch.dtype != torch.uint8 or batch.dim() not in (3, 4):
                raise DataError(str(error)) from error
    if not isinstance(images, Sequence | np.ndarray | Tensor) or not len(images):
        raise DataError(f"got {type(images).__name__}, must be an array of images, or a list of at least one")
    return torch.from_numpy(from_arrays(images, preprocessing.shape))


def best_classes(classifier: Classifier, pixels: Tensor, top: int) -> tuple[list[list[str]], NDArray[np.float32]]:
    """For each image, the names of the `top` most probable classes, and their probabilities (N, top)."""
    with torch.inference_mode():
        logits = torch.cat([classifier(batch) for batch in torch.split(pixels, _BATCH)])
    probabilities, classes = logits.softmax(dim=1).topk(min(top, logits.shape[1]), dim=1)
    names = [[classifier.class_names[index] for index in row] for row in classes.tolist()]
    return names, probabilities.numpy()


def predict(options: PredictOptions, names: Sequence[str]) -> None:
    """Print the classes of the image files and folders `names`, as `options` ask, and the run on standard error.

    Raises `RunError`, which names them, if files cannot be read; the others are answered before.
    """
    files = find_files(names)
    run = choose_run(options.run, options.sweep)
    classifier = run.classifier
    print(run, file=sys.stderr)
    unreadable: list[str] = []
    # Names of files that are not UTF-8 leave as the bytes that they are, and in JSON as escapes.
    write, errors = (_write_csv, "surrogateescape") if options.format == "csv" else (_write_json, "backslashreplace")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=errors)
    with warnings.catch_warnings(action="ignore"):  # of Pillow, about odd metadata
        write(_answers(classifier, files, options, unreadable), sys.stdout)
    if unreadable:
        files_text = f"{len(unreadable)} of {count(len(files), 'file')}"
        raise RunError("\n".join([f"{files_text} cannot be read:", *unreadable]))


Answer = tuple[str, list[tuple[str, float]]]  # the file, and its classes with their probabilities


def _answers(
    classifier: Classifier, files: Sequence[str], options: PredictOptions, unreadable: list[str]
) -> Iterator[Answer]:
    """The answers for the files that can be read; `unreadable` receives the others, each with the reason."""
    read = partial(_read, shape=classifier.preprocessing.shape)
    bar = ProgressBar(total=len(files), unit=" images", disable=None)
    with bar, ThreadPoolExecutor() as pool:
        for start in range(0, len(files), options.batch_size):
            batch = files[start : start + options.batch_size]
            contents = list(zip(batch, pool.map(read, batch), strict=True))
            unreadable += [f"{file}: {content}" for file, content in contents if isinstance(content, str)]
            readable = [(file, content) for file, content in contents if not isinstance(content, str)]
            bar.update(len(batch))
            if not readable:
                continue
            pixels = torch.from_numpy(np.stack([content for _, content in readable]))
            names, probabilities = best_classes(classifier, pixels, options.top)
            bar.clear()  # the rows may go to the same terminal
            for (file, _), classes, row in zip(readable, names, probabilities.tolist(), strict=True):
                yield file, list(zip(classes, row, strict=True))


def _read(file: str, shape: Shape) -> Pixels | str:
    """The pixels of a file, or why it cannot be read."""
    try:
        return read_picture(sys.stdin.buffer.read() if file == "-" else file, shape)
    except DataError as error:
        return str(error)


def _write_csv(answers: Iterator[Answer], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "rank", "class", "probability"])
    for file, classes in answers:
        writer.writerows([file, rank, name, f"{value:.6f}"] for rank, (name, value) in enumerate(classes, 1))


def _write_json(answers: Iterator[Answer], out: TextIO) -> None:
    """One array, with an object a line."""
    out.write("[")
    for number, (file, classes) in enumerate(answers):
        values = [{"class": name, "probability": round(value, 6)} for name, value in classes]
        out.write(("," if number else "") + "\n" + json.dumps({"file": file, "classes": values}, ensure_ascii=False))
    out.write("\n]\n")
