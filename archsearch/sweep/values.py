"""The values of one setting that varies in a sweep, as the command line gives them: lists, ranges, patterns."""

import re
from decimal import Decimal
from fractions import Fraction

from hydra.core.override_parser.types import Glob, Override, RangeSweep


def values_of(override: Override, max_values: int | None = None) -> list[str]:
    """The values that `override` sweeps over, as they are written in an override.

    A range has the decimals that were meant: `range(0,1,0.01)` has 0.03, not 0.030000000000000002. Raises `ValueError`
    with a rule if there are no values, or more than `max_values`; they are counted before they are made.
    """
    sweep: object = override.value()
    if isinstance(sweep, RangeSweep):
        count = _count(sweep)
        if max_values is not None and count > max_values:
            raise ValueError(f"has {count:,} values, more than sweep.max_runs={max_values}; {too_many(count)}")
        if not all(isinstance(number, int) for number in (sweep.start, sweep.stop, sweep.step)):
            for name in ("start", "stop", "step"):  # as Hydra does, but from the digits and not from the binary number
                setattr(sweep, name, Decimal(_text(getattr(sweep, name))))
    values = list(override.sweep_string_iterator())
    if not values:
        if isinstance(sweep, Glob) and override.config_loader is not None:
            options = ", ".join(override.config_loader.get_group_options(override.key_or_group))
            raise ValueError(f"no option matches; {f'there are {options}' if options else 'it is not a group'}")
        raise ValueError("has no values; range(1,5) is 1, 2, 3, 4, and range(5,1,-1) is 5, 4, 3, 2")
    return values


def rounded(value: str) -> str:
    """The decimals that were meant by `value`: 0.03 for 0.030000000000000002. Other values stay as they are."""
    if not re.fullmatch(r"-?\d+\.\d{12,}(e-?\d+)?", value):
        return value
    shorter = str(float(f"{float(value):.12g}"))
    return shorter if len(shorter) < len(value) - 5 else value


def too_many(count: int) -> str:
    """What to do about so many runs."""
    return f"give fewer values, or allow them with sweep.max_runs={count}"


def _count(sweep: RangeSweep) -> int:
    """How many values a range has. Raises `ValueError` if it never ends."""
    numbers = [_text(number) for number in (sweep.start, sweep.stop, sweep.step)]
    try:
        start, stop, step = map(Fraction, numbers)
    except ValueError as error:  # inf, nan
        raise ValueError("must have finite numbers") from error
    if step == 0:
        raise ValueError("has a step of 0, must be another number")
    return max(0, -((start - stop) // step))


def _text(number: object) -> str:
    return rounded(str(number))  # Hydra's sort(range(...)) calculates with binary numbers
