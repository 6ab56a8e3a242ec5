"""Numbers as text: differences in points and p-values."""

from math import isnan

from archsearch.report.statistics import CONFIDENCE, Estimate

_THRESHOLD = 1 - CONFIDENCE
_MOST_DIGITS = 6


def points(value: float, sign: str = "") -> str:
    """A difference: `0.05`, or `+0.05` with the sign `+`; `0.00` for one that is rounded to 0."""
    text = f"{value:{sign}.2f}"
    return text.lstrip("+-") if not float(text) else text


def with_margin(estimate: Estimate, value: str) -> str:
    """`value` with half the interval's width, if it has an interval: `+0.05 +- 0.02`, `0.05 +- 0.003`."""
    half_width = estimate.half_width
    if isnan(half_width):
        return value
    return f"{value} +- {half_width:.2f}" if half_width >= 0.005 else f"{value} +- {half_width:.1g}"


def p_equation(p: float) -> str:
    """`p = 0.03`, `p < 0.001`."""
    return f"p {format_p(p)}" if p < 0.001 else f"p = {format_p(p)}"


def format_p(p: float) -> str:
    """A p-value with the digits that are meaningful: `0.03`, `0.003`, `0.049`, `< 0.001`; `?` for NaN.

    It is never rounded to the threshold of significance or across it.
    """
    if isnan(p) or p < 0.001:
        return "?" if isnan(p) else "< 0.001"
    digits = 3 if p < 0.01 or f"{p:.2f}" == f"{_THRESHOLD:.2f}" else 2
    while p < _THRESHOLD <= float(f"{p:.{digits}f}") + 1e-12 and digits < _MOST_DIGITS:
        digits += 1
    return f"{p:.{digits}f}"
