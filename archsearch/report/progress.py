"""One line on a terminal's stderr that says what is being done, and goes away. Nothing where stderr is no terminal."""

import shutil
import sys
from typing import TextIO

_CLEAR = "\r\x1b[2K"


class StatusLine:
    """Shows one text at a time: `show` replaces it, `clear` (or leaving the context) removes it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = sys.stderr if stream is None else stream
        self._stream = stream if stream is not None and stream.isatty() else None

    def show(self, text: str) -> None:
        """Replace the line by `text`, cut to the terminal's width."""
        if self._stream is not None:
            width = shutil.get_terminal_size((80, 24)).columns
            self._write(f"{_CLEAR}{text[: width - 4]}...")

    def clear(self) -> None:
        """Remove the line."""
        if self._stream is not None:
            self._write(_CLEAR)

    def __enter__(self) -> "StatusLine":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def _write(self, text: str) -> None:
        assert self._stream is not None
        self._stream.write(text)
        self._stream.flush()
