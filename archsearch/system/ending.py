"""How a process ends that has trained something."""

import atexit
import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


def end_process(status: int) -> NoReturn:
    """End with `status`, after everything that is registered for the exit, but without taking the objects apart.

    With torch, its compiler (which its optimizers import), Numba and MLflow loaded, Python needs two to three seconds
    for that, and the operating system none. Threads that are still at work are not waited for.
    """
    with suppress(Exception):  # as Python does, which has printed it
        atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a closed pipe
            stream.flush()
    os._exit(status)
