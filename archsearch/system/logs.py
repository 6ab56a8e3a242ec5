"""Where archsearch's log messages go."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOG_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"  # in log files


@contextmanager
def messages_to(*handlers: logging.Handler) -> Iterator[None]:
    """Send archsearch's log messages to `handlers` only, which are closed at the end."""
    logger = logging.getLogger("archsearch")
    before, level, propagate = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = list(handlers), False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before, propagate
        logger.setLevel(level)
        for handler in handlers:
            handler.close()
