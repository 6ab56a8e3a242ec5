"""Where a sweep's log lines go: the terminal, and `sweep.log` in its folder."""

import logging
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from archsearch.system.terminal import Table, show, terminal_width

SWEEP_LOG = "sweep.log"


@contextmanager
def logged_to(folder: Path) -> Iterator[None]:
    """Send archsearch's log messages to stdout and to `sweep.log` in `folder`, and to no other handler.

    A message may be a `Table`: it fits the terminal, and is plain and whole in the file.
    """
    logger = logging.getLogger("archsearch")
    console, file = logging.StreamHandler(sys.stdout), _LogFile(folder / SWEEP_LOG, encoding="utf-8")
    console.setFormatter(_MessageOnly(sys.stdout))
    file.setFormatter(_WholeTables("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    logger.handlers, logger.propagate = [console, file], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        file.close()
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def wrapped(text: str, stream: TextIO | None = None) -> str:
    """`text` in lines that fit the terminal that `stream` (standard output) is, without breaking words or links."""
    width = terminal_width(stream)
    if width is None:
        return text
    return "\n".join(
        textwrap.fill(line, max(width, 20), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Ignore a full disk: the terminal shows the message, too."""


class _WholeTables(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        if isinstance(record.msg, Table):
            record.message = f"\n\n{record.msg}\n"
        return super().formatMessage(record)


class _MessageOnly(logging.Formatter):
    """Fits messages to `stream`, and leaves out tracebacks, which only the file has."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, Table):
            return f"\n{show(record.msg, self.stream)}\n"
        return wrapped(record.getMessage(), self.stream)
