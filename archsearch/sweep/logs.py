"""Where a sweep's log lines go: the terminal, and `sweep.log` in its folder."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SWEEP_LOG = "sweep.log"


@contextmanager
def logged_to(folder: Path) -> Iterator[None]:
    """Send archsearch's log messages to stdout and to `sweep.log` in `folder`, and to no other handler."""
    logger = logging.getLogger("archsearch")
    console, file = logging.StreamHandler(sys.stdout), _LogFile(folder / SWEEP_LOG, encoding="utf-8")
    console.setFormatter(_MessageOnly("%(message)s"))
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    logger.handlers, logger.propagate = [console, file], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        file.close()
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Ignore a full disk: the terminal shows the message, too."""


class _MessageOnly(logging.Formatter):
    """Leaves out tracebacks, which only the file has."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()
