"""The pandas tables of a sweep: its runs, and its variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import STATISTICS, outcomes_by_variant, outcomes_of

if TYPE_CHECKING:
    import pandas


def table_of(record: SweepRecord, folder: Path) -> pandas.DataFrame:
    """One row a run, by its number, the best on top: the settings that vary, sizes, accuracies, state."""
    import pandas

    rows: list[dict[str, Any]] = []
    for outcome in outcomes_of(record, folder):
        numbers = {name: _number(getattr(outcome, name)) for name in STATISTICS}
        rows.append({"number": outcome.number, **outcome.values, **outcome.columns, **numbers})
    return _with_numbers(pandas.DataFrame(rows), record.keys).set_index("number")


def variants_of(record: SweepRecord, folder: Path) -> pandas.DataFrame:
    """One row a variant, the best on top: its settings, `n` finished runs, and means and standard deviations."""
    import pandas

    rows = []
    for variant in outcomes_by_variant(outcomes_of(record, folder)):
        first = variant.outcomes[0]
        row: dict[str, Any] = {**variant.values, "params": first.params, "macs": first.macs}
        row["n"] = sum(outcome.state == "FINISHED" for outcome in variant.outcomes)
        for name in STATISTICS:
            mean, sd, _ = variant.statistic(name) or (None, None, 0)
            row[name], row[f"{name}_sd"] = _number(mean), _number(sd)
        rows.append(row)
    return _with_numbers(pandas.DataFrame(rows), [key for key in record.keys if key != "seed"])


def _number(value: float | None) -> float:
    """NaN for a missing number, which keeps a column a column of numbers."""
    return float("nan") if value is None else value


def _with_numbers(table: pandas.DataFrame, settings: list[str]) -> pandas.DataFrame:
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
