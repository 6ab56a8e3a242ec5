"""Commands in this process: as a person types them, but without the seconds that a process takes to start."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess

import pytest

from archsearch.check import check
from archsearch.cli import train
from archsearch.draw import draw
from archsearch.export import export
from archsearch.predict import predict
from archsearch.register import register
from archsearch.schema import schema
from archsearch.ui import ui

_COMMANDS = {
    "archsearch": train,
    "archsearch.check": check,
    "archsearch.draw": draw,
    "archsearch.export": export,
    "archsearch.predict": predict,
    "archsearch.register": register,
    "archsearch.schema": schema,
    "archsearch.ui": ui,
}

Command = Callable[..., CompletedProcess[str]]


def run_command(
    capture: pytest.CaptureFixture[str], *arguments: str, module: str = "archsearch"
) -> CompletedProcess[str]:
    """What `python -m MODULE ARGUMENTS` prints and returns."""
    capture.readouterr()
    with restored_logging():
        try:
            status = _COMMANDS[module](arguments)
        except SystemExit as exit_:  # of argparse, which Hydra uses
            status = int(exit_.code or 0)
    output, errors = capture.readouterr()
    return CompletedProcess(list(arguments), status, output, errors)


@contextmanager
def restored_logging() -> Iterator[None]:
    """Undo what Hydra does to the root logger and archsearch's."""
    loggers = [logging.getLogger(), logging.getLogger("archsearch")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            for handler in logger.handlers:
                if handler not in handlers:
                    handler.close()
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
