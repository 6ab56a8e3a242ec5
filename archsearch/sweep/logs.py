"""Where a sweep's log lines go: the terminal, and `sweep.log` in its folder."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archsearch.system.logs import LOG_LINE, messages_to
from archsearch.system.screen import ScreenHandler
from archsearch.system.terminal import TextTable, format_table

SWEEP_LOG = "sweep.log"


@contextmanager
def logged_to(folder: Path | None) -> Iterator[None]:
    """Send archsearch's log messages to stdout and, if there is a `folder`, its `sweep.log`, and to no other handler.

    A message may be a `TextTable`: it fits the terminal, and is plain and whole in the file.
    """
    handlers: list[logging.Handler] = [_Screen(sys.stdout)]
    handlers[0].setFormatter(_MessageOnly())
    if folder is not None:
        handlers.append(_LogFile(folder / SWEEP_LOG, encoding="utf-8"))
        handlers[1].setFormatter(_WholeTables(LOG_LINE))
    with messages_to(*handlers):
        yield


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Ignore a full disk: the terminal shows the message, too."""


class _WholeTables(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        if isinstance(record.msg, TextTable):
            record.message = f"\n\n{record.msg}\n"
        return super().formatMessage(record)


class _Screen(ScreenHandler):
    """Fits tables and messages to the terminal, and leaves out tracebacks, which only the file has."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, TextTable):
            return f"\n{format_table(record.msg, self.stream)}\n"
        return super().format(record)


class _MessageOnly(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()
