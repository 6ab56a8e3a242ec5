"""Formats counts, durations and tables for the console."""

from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """`1 run`, `2 runs`, `1,000 epochs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def with_model(name: str, model: str) -> str:
    """The name of a run with that of its model: the names of runs of a sweep have only what varies."""
    return name if name.startswith(model) or f"model={model}" in name.split() else f"{model} {name}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines. All columns but the last are right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([*(f"{cell:>{width}}" for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
