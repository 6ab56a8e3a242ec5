"""How much memory there is, and how much something needs. No torch."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)

_MUCH = 10**9  # bytes


def available_memory() -> int | None:
    """The bytes that programs can still use, as far as Linux says so."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def fits_in_memory(size: int) -> bool:
    """Whether `size` bytes leave a quarter of the available memory to others; True if that is unknown."""
    available = available_memory()
    return available is None or size <= 0.75 * available


def note_memory(size: int, activity: str) -> None:
    """Log how much memory `activity` needs, if it is much."""
    if size > _MUCH:
        available = available_memory()
        rest = "" if available is None else f"; {readable_size(available)} are available"
        log.info("%s needs %s of memory%s", activity, readable_size(size), rest)


def readable_size(size: int) -> str:
    """`1.4 GB`, `55 MB`."""
    return f"{size / 1e9:,.1f} GB" if size >= _MUCH else f"{max(1, round(size / 1e6))} MB"
