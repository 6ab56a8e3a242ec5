"""What a person sees while a command works: log lines that fit the terminal, and one line that goes away.

Output is a courtesy: a closed pipe or a closed stream never ends a command.
"""

import logging
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from archsearch.system.terminal import terminal_width

_CLEAR_LINE = "\r\x1b[2K"

_activities: list[str] = []


class ScreenHandler(logging.StreamHandler[Any]):
    """Writes messages to a stream. On a terminal they fit its width.

    A record's `shorter` versions of its message, from the longest, replace it where they fit and it does not.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        width = terminal_width(self.stream)
        if width is None:
            return text
        versions = [text, *getattr(record, "shorter", ())]
        return next((version for version in versions if _fits(version, width)), wrapped(versions[-1], width))

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is None:
            return
        _clear()
        if "tqdm" in sys.modules:  # a bar is moved out of the way
            from tqdm import tqdm

            with tqdm.external_write_mode(file=self.stream):
                super().emit(record)
        else:
            super().emit(record)
        _show()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 # logging's name
        """Ignore a closed pipe or stream: `| head` has seen enough, and the log file has everything."""
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handleError(record)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            super().flush()


@contextmanager
def doing(activity: str) -> Iterator[None]:
    """Show `activity` on the terminal, in one line that goes away, while this context lasts."""
    _activities.append(activity)
    _show()
    try:
        yield
    finally:
        _clear()
        _activities.pop()
        _show()


def wrapped(text: str, width: int) -> str:
    """`text` in lines of at most `width` characters, broken between words and aligned below a line's label."""
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def open_standard_streams() -> None:
    """Connect standard streams that are closed to the null device.

    Otherwise a file that is opened later takes their number, and receives what is meant for the screen.
    """
    names = ("stdin", "stdout", "stderr")
    for number in range(len(names)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
    for name in names:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115 # until the end


def _fits(text: str, width: int) -> bool:
    return all(len(line) <= width for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    label = re.match(r"\w* {2,}", line)  # or the space below one
    indent = " " * (label.end() if label else 2)
    parts = textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    # What is wider than the terminal (a link) begins its line, so that the terminal breaks it as late as possible.
    return "\n".join(part.lstrip() if len(part) > width else part for part in parts)


def _terminal() -> tuple[TextIO, int] | None:
    stream = sys.stderr
    width = terminal_width(stream) if stream is not None else None
    return None if width is None else (stream, width)


def _show() -> None:
    terminal = _terminal() if _activities else None
    if terminal is not None:
        stream, width = terminal
        with suppress(OSError, ValueError):
            stream.write(_CLEAR_LINE + f"{_activities[-1]} ..."[: width - 1])
            stream.flush()


def _clear() -> None:
    terminal = _terminal() if _activities else None
    if terminal is not None:
        with suppress(OSError, ValueError):
            terminal[0].write(_CLEAR_LINE)
            terminal[0].flush()
