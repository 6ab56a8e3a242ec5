"""A command as the only task of its process."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from archsearch.system.interrupts import ending_at_once
from archsearch.system.process import end_process, skip_teardown
from archsearch.system.screen import doing, open_standard_streams


def run_command(run: Callable[[Sequence[str]], int]) -> NoReturn:
    """Call `run` with the arguments of the command line, and end the process with the status that it returns."""
    open_standard_streams()
    skip_teardown()
    try:
        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    end_process(status)


@contextmanager
def starting() -> Iterator[None]:
    """Import the command's first large packages in this context."""
    with ending_at_once(), doing("starting"):
        yield
