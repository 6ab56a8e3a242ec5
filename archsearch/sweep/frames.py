"""Parts of the pandas tables of sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archsearch.sweep.results import COLUMNS, STATISTICS, RunOutcome

if TYPE_CHECKING:
    import pandas


def number_of(value: float | None) -> float:
    """NaN for a missing number, which keeps a column a column of numbers."""
    return float("nan") if value is None else value


def columns_of(outcome: RunOutcome) -> dict[str, Any]:
    """The numbers and the state of a run, by the names of their columns."""
    values = {name: getattr(outcome, name) for name in COLUMNS}
    return values | {name: number_of(values[name]) for name in ("val_best", *STATISTICS)}


def with_numbers(table: pandas.DataFrame, settings: list[str]) -> pandas.DataFrame:
    """`table` with numbers, or true and false, in the columns of `settings` whose values all are; `null` is missing."""
    import pandas

    flags = {"true": True, "false": False}
    for setting in settings:
        values = table[setting].replace("null", None)
        numbers = pandas.to_numeric(values, errors="coerce")
        if len(table) and (numbers.notna() | values.isna()).all() and numbers.notna().any():
            table[setting] = numbers
        elif len(table) and values.astype(str).str.lower().isin(list(flags)).all():
            table[setting] = values.astype(str).str.lower().map(flags)
    return table
