"""Ctrl-C and SIGTERM while nothing needs to be saved."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process with one line while this context lasts, without an exception.

    For imports and the composition of a configuration: an exception there may be raised in any line of any library,
    which prints a traceback for it or takes it for another error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _end(number: int, _frame: object) -> NoReturn:
    line = b"archsearch: interrupted\n"
    os.write(2, b"\r\x1b[2K" + line if os.isatty(2) else line)
    os._exit(128 + number)
