"""How a process imports what takes seconds to import."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_one_go() -> Iterator[None]:
    """Import here what is large, and stays.

    An import of torch or MLflow makes hundreds of thousands of objects, none of them garbage; Python looks through them
    again and again while they are made, a tenth to a fifth of the time, and later whenever it collects. Here it looks
    at none of them, ever.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
