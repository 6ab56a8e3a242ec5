"""`archsearch export`: a trained network as files that need no archsearch, each compared with PyTorch's logits."""

import importlib.util
import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.deploy.chosen import ChosenRun, choose_run
from archsearch.deploy.words import ExportOptions
from archsearch.errors import ConfigError, Problem, StorageError, did_you_mean
from archsearch.runs.folder import OUTPUTS
from archsearch.system.atomic import replacing
from archsearch.system.screen import doing

if TYPE_CHECKING:
    from torch import Tensor

NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch": (), "source": ()}


def formats_of(options: ExportOptions) -> list[str]:
    """The formats to write. Raises `ConfigError` for unknown ones, and for those whose packages are not installed."""
    formats = list(dict.fromkeys(name.strip() for name in options.format.strip("[]").split(",")))
    problems = [
        Problem("format", f"got {name!r}, must be some of {', '.join(NEEDS)}{did_you_mean(name, NEEDS)}")
        for name in formats
        if name not in NEEDS
    ]
    if options.int8 and "onnx" not in formats:
        problems.append(Problem("int8", f"is of ONNX files, got format={options.format}; add onnx"))
    for name in formats:
        missing = [package for package in NEEDS.get(name, ()) if importlib.util.find_spec(package) is None]
        if missing:
            advice = f"install {', '.join(missing)}, as pip install 'archsearch[export]' does"
            problems.append(Problem("format", f"{name} needs packages that are not installed; {advice}"))
    if problems:
        raise ConfigError(problems)
    return formats


def export(options: ExportOptions) -> None:
    """Export the network that `options` name, and print a line for each file. Raises `UserError` or `RunError`."""
    formats = formats_of(options)
    run = choose_run(options.run, options.sweep)
    folder = Path(options.out) if options.out else OUTPUTS / "exports" / run.id[:8]
    from archsearch.runs.source import module_name

    run.plan  # noqa: B018 # raises if the network is not from a model
    print(run, file=sys.stderr)
    path = folder / module_name(run.model)
    images = None
    if options.int8:
        from archsearch.deploy.quantised import images_of

        with doing("loading the images"):
            images = images_of(run)  # before anything is written
    with _storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in formats:
            with doing(f"exporting {name}"):
                lines = list(write_format(name, run, path))
            print("\n".join(lines), flush=True)
        if images is not None:
            with doing("quantising"):
                line = _write_int8(path, images)
            print(line)


def _write_onnx(run: ChosenRun, path: Path) -> Iterator[str]:
    from archsearch.deploy.checks import largest_difference
    from archsearch.deploy.onnx_file import computed_by, write_onnx

    file = path.with_suffix(".onnx")
    with replacing(file) as scratch:
        write_onnx(run.classifier, scratch)
        difference = largest_difference(run.classifier, computed_by(scratch), "format=onnx")
    yield _line(file, difference)


def _write_int8(path: Path, images: Any) -> str:
    from archsearch.deploy.onnx_file import computed_by
    from archsearch.deploy.quantised import accuracy, write_quantised

    source, file = path.with_suffix(".onnx"), path.with_suffix(".int8.onnx")
    with replacing(file) as scratch:
        write_quantised(source, scratch, images.calibration)
        before, after = (accuracy(computed_by(name), images.test, images.labels) for name in (source, scratch))
    change = f"{before:.2f} % -> {after:.2f} % ({after - before:+.2f} points)"
    calibrated = f"calibrated on {len(images.calibration):,} {images.source} images"
    return f"{file}  {_size(file)}, accuracy on {len(images.labels):,} test images {change}, {calibrated}"


def _write_torch(run: ChosenRun, path: Path) -> Iterator[str]:
    import torch

    from archsearch.deploy.checks import EXAMPLES, cannot_export, example_pixels, largest_difference
    from archsearch.model.program import program_of

    file = path.with_suffix(".pt2")
    names = {"class_names.json": json.dumps(run.classifier.class_names)}
    with replacing(file) as scratch, warnings.catch_warnings(action="ignore"):
        example = example_pixels(run.classifier, EXAMPLES)
        try:
            program = program_of(run.classifier, example)
            torch.export.save(program, scratch, extra_files=names)
        except Exception as error:  # whatever the network's own layers do
            raise cannot_export("torch", error) from error
        module = torch.export.load(scratch).module()

        def compute(pixels: "Tensor") -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(module(pixels).numpy())

        difference = largest_difference(run.classifier, compute, "format=torch")
    yield _line(file, difference)


def _write_source(run: ChosenRun, path: Path) -> Iterator[str]:
    import torch

    from archsearch.deploy.checks import largest_difference
    from archsearch.runs.source import source_of, weights_of

    file, weights = path.with_suffix(".py"), path.with_suffix(".safetensors")
    text = source_of(run.plan, run.info, run.name, path.name)
    with replacing(file) as scratch, replacing(weights) as scratch_weights:
        scratch.write_text(text, encoding="utf-8")
        scratch_weights.write_bytes(weights_of(run.classifier.network))
        values: dict[str, Any] = {"__name__": path.name, "__file__": str(scratch)}
        exec(compile(text, str(file), "exec"), values)
        network = values["load"]()

        def compute(pixels: "Tensor") -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(network(pixels).numpy())

        difference = largest_difference(run.classifier, compute, "format=source")
    yield _line(file, difference)
    yield f"{weights}  {_size(weights)}, its weights"


def write_format(name: str, run: ChosenRun, path: Path) -> Iterator[str]:
    """Write the files of the format `name` to `path` with a suffix; a line about each of them.

    Files whose logits are not PyTorch's do not appear. Raises `RunError`.
    """
    return _WRITERS[name](run, path)


_WRITERS = {"onnx": _write_onnx, "torch": _write_torch, "source": _write_source}


def _line(file: Path, difference: float) -> str:
    return f"{file}  {_size(file)}, logits within {difference:.1g} of PyTorch's in batches of 1, 2 and 7"


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"out: {folder} cannot be written: {error.strerror or error}") from error
