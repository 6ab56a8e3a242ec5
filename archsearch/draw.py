"""`python -m archsearch.draw`: a model as a picture, in SVG and PNG. Trains nothing, imports no torch."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archsearch.system.command import run_command, starting
from archsearch.system.interrupts import ending_at_once

if TYPE_CHECKING:
    from archsearch.compose.request import Request

_OUT = "out="
_FOLDER = Path("outputs", "drawings")
_SUFFIXES = (".svg", ".png")


def draw(arguments: Sequence[str]) -> int:
    """Draw the model of the command line `arguments`, and print the names of the files.

    They are `outputs/drawings/<model>.svg` and `.png`, or the file that `out=` names. `input=3x32x32` and `classes=100`
    replace those of the data set. Returns the exit status.
    """
    with starting():
        from archsearch.cli import dispatch, traceless_overrides
    with ending_at_once():
        from archsearch.compose.images import Images, without_image_words

    others, words = without_image_words(arguments)
    images, outs = Images(words), [word.removeprefix(_OUT) for word in others if word.startswith(_OUT)]
    others = [word for word in others if not word.startswith(_OUT)]

    def validate(request: "Request") -> Any:
        validated = images.validate(request, "network.svg")
        plan = replace(validated, violations=()).require()[1]  # a model over its budget can be looked at, too
        files = _files(outs[-1] if outs else None, request.choices["model"])
        for violation in validated.violations:
            print(f"WARNING: {violation}", file=sys.stderr)
        return plan, request.name, files

    with traceless_overrides() as overrides:
        return dispatch(
            [*others, *overrides],
            validate,
            _draw,
            _refuse_sweep,
            "draw",
            leaves_files=False,
            find_dataset=images.dataset,
        )


def _files(out: str | None, model: str) -> list[Path]:
    from archsearch.errors import ConfigError, Problem

    if out is None:
        return [_FOLDER / f"{model.replace('/', '-')}{suffix}" for suffix in _SUFFIXES]
    path = Path(out)
    if path.suffix not in _SUFFIXES:
        raise ConfigError([Problem("out", f"got {out!r}, must be a file that ends in {' or '.join(_SUFFIXES)}")])
    if path.is_dir():
        raise ConfigError([Problem("out", f"got {out!r}, which is a folder; name a file in it")])
    return [path]


def _draw(validated: Any) -> None:
    from archsearch.errors import StorageError
    from archsearch.model.drawing import draw, write_drawing
    from archsearch.system.screen import doing

    plan, name, paths = validated
    with doing("drawing"):
        drawing = draw(plan, name)
        for path in paths:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_drawing(drawing, path)
            except OSError as error:
                raise StorageError(f"out: {path} cannot be written: {error.strerror or error}") from error
    print("\n".join(map(str, paths)))


def _refuse_sweep(_arguments: Sequence[str]) -> NoReturn:
    from archsearch.errors import ConfigError, Problem

    raise ConfigError([Problem("-m", "draws one model at a time; leave out -m, and give each setting one value")])


if __name__ == "__main__":
    run_command(draw)
