"""Ctrl-C and SIGTERM while nothing needs to be saved."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process with one line while this context lasts, without an exception.

    For imports and the composition of a configuration: an exception there may be raised in any line of any library,
    which prints a traceback for it or takes it for another error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Start processes in this context that inherit blocked signals: a terminal sends Ctrl-C to a whole group.

    They block Ctrl-C and SIGTERM until they call `unblock_signals`.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which unblocks the signals when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def unblock_signals() -> None:
    """Let Ctrl-C and SIGTERM in, once the process has its handlers."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _end(number: int, _frame: object) -> NoReturn:
    line = b"archsearch: interrupted\n"
    os.write(2, b"\r\x1b[2K" + line if os.isatty(2) else line)
    os._exit(128 + number)
