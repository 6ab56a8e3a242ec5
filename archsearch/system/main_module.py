"""The module `__main__` of somebody else's program."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unrepeated_main() -> Iterator[None]:
    """Start processes that do not run the caller's script again, which therefore needs no `if __name__` guard.

    multiprocessing finds that script through these two attributes of the module `__main__`.
    """
    main = sys.modules["__main__"]
    before: dict[str, Any] = {name: vars(main)[name] for name in ("__spec__", "__file__") if name in vars(main)}
    vars(main).update(__spec__=None)
    vars(main).pop("__file__", None)
    try:
        yield
    finally:
        vars(main).update(before)
