"""The progress bar of all commands."""

import sys
from typing import Any

from tqdm import tqdm

MARGIN = 2  # columns of the ^C that a terminal shows; at the right edge it would wrap, and the bar would stay


class ProgressBar(tqdm):  # type: ignore[type-arg] # generic in tqdm's stubs only
    """A bar on stderr that goes away, and can do so after Ctrl-C, too. Takes tqdm's keyword arguments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(file=sys.stderr, leave=False, dynamic_ncols=True, **options)

    @property
    def format_dict(self) -> Any:
        """What tqdm formats the bar with: its width, among others."""
        values = super().format_dict
        width = values.get("ncols")
        return values if width is None else {**values, "ncols": max(1, width - MARGIN)}
