"""Command-line arguments that the scripts share, and the folder of the data sets."""

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path


def parser_of(description: str | None) -> ArgumentParser:
    """A parser whose help starts with the script's docstring."""
    return ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)


def parser_of_benchmark(description: str | None, *, rounds: int | None = None) -> ArgumentParser:
    """A parser with `--output`, and with `--rounds` if a default is given."""
    parser = parser_of(description)
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--output", type=Path, help="file for the results; required for a trial")
    return parser


def data_root() -> Path:
    """The folder of the data sets: `ARCHSEARCH_DATA`, else `data`."""
    return Path(os.environ.get("ARCHSEARCH_DATA", "data")).absolute()
