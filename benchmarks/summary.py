"""Medians and ranges of measurements, and targets."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def spread(values: Sequence[float]) -> Row:
    """Median, range and number of `values`."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def format_spread(values: Mapping[str, float], form: str = "{:,.2f}") -> str:
    """`2.50 (1.00 to 4.00)`: the median and the range of a `spread`."""
    median, low, high = (form.format(values[key]) for key in ("median", "min", "max"))
    return f"{median} ({low} to {high})"


def readable(value: float) -> str:
    """Three significant digits, or a whole number."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def target(what: str, value: float, bound: float, *, at_least: bool = False) -> Row:
    """Compare `value` with its target, print the outcome and return it as a row for the results file."""
    met = value >= bound if at_least else value <= bound
    word = "at least" if at_least else "at most"
    print(f"{'met   ' if met else 'MISSED'}  {what}: {value:.2f}, wanted {word} {bound:g}")
    return {"what": what, "value": value, "bound": bound, "at_least": at_least, "met": met}
