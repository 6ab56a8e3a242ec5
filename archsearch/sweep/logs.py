"""Where a sweep's own process says things: the screen, plainly, and `sweep.log`, with the time."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = "sweep.log"


@contextmanager
def said_to(folder: Path) -> Iterator[None]:
    """While this lasts, what archsearch logs goes to the screen and to `sweep.log` in `folder`, and nowhere else."""
    ours = logging.getLogger("archsearch")
    screen, file = logging.StreamHandler(sys.stdout), _File(folder / LOG, encoding="utf-8")
    screen.setFormatter(_Plain("%(message)s"))
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    before = ours.handlers[:], ours.level, ours.propagate
    ours.handlers, ours.propagate = [screen, file], False
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        file.close()
        ours.handlers, ours.propagate = before[0], before[2]
        ours.setLevel(before[1])


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """A full disk: the screen has it all the same."""


class _Plain(logging.Formatter):
    """Without tracebacks: those are for the file."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()
