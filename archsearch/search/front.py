"""The front of a search as a table and as a CSV file."""

import csv
import io
from collections.abc import Sequence

from archsearch.compose.labels import labels
from archsearch.search.objectives import BY_ARITHMETIC
from archsearch.search.trials import Trial
from archsearch.sweep.result_tables import setting_columns
from archsearch.system.terminal import Column, TextTable

_HEADINGS = {"val/accuracy": "val", "val/loss": "val loss", "macs": "MACs", "epoch_seconds": "s per epoch"}


def front_columns(trials: Sequence[Trial], objectives: Sequence[str]) -> list[str]:
    """What a table of `trials` shows beside their settings: accuracy, sizes, and the other objectives."""
    names = ["val/accuracy", *BY_ARITHMETIC, *(name for name in objectives if name not in BY_ARITHMETIC)]
    return [name for name in dict.fromkeys(names) if all(name in trial.values for trial in trials)]


def front_table(trials: Sequence[Trial], objectives: Sequence[str]) -> TextTable:
    """The trials on the front, in their order."""
    keys = list(trials[0].outcome.values) if trials else []
    names = front_columns(trials, objectives)
    headings = [_HEADINGS.get(name, name) for name in names]
    columns = [*setting_columns(["trial", *labels(keys)]), *map(Column, headings)]
    rows = [
        (str(trial.number), *trial.outcome.values.values(), *(shown(name, trial) for name in names)) for trial in trials
    ]
    return TextTable(columns, rows)


def front_csv(trials: Sequence[Trial], objectives: Sequence[str]) -> str:
    """The trials on the front, in their order, with all digits."""
    names = front_columns(trials, objectives)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *(trials[0].outcome.values if trials else ()), *names])
    for trial in trials:
        values = [int(trial.values[name]) if name in BY_ARITHMETIC else trial.values[name] for name in names]
        writer.writerow([trial.number, *trial.outcome.values.values(), *values])
    return text.getvalue()


def shown(name: str, trial: Trial) -> str:
    """The value `name` of a trial, for people. What a function returned has no unit."""
    value = trial.values[name]
    if name in BY_ARITHMETIC:
        return f"{value:,.0f}"
    if trial.is_evaluated:
        return f"{value:.6g}"
    return {"val/accuracy": f"{value:.2f}", "val/loss": f"{value:.4f}"}.get(name, f"{value:.3g}")
