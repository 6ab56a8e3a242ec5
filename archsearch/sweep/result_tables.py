"""The table of a sweep: settings that vary, size, accuracies, time and state; one row per variant where seeds vary."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archsearch.compose.labels import labels
from archsearch.runs.formatting import duration
from archsearch.sweep.results import COLUMNS, STATISTICS, RunOutcome, VariantOutcome, outcomes_by_variant
from archsearch.system.atomic import write_text
from archsearch.system.terminal import Column, TextTable

CSV, JSON, MARKDOWN = "table.csv", "table.json", "table.md"
_JSON_FORMAT = 2  # format 1 had no number; its variants were the runs
_STYLES = {
    "FINISHED": "green",
    "FAILED": "red",
    "INVALID": "red",
    "KILLED": "yellow",
    "MISSING": "yellow",
    "OVER_BUDGET": "yellow",
    "seed ": "yellow",  # one or more of a variant's seeds did not finish
    "DUPLICATE": "dim",
}
_OPTIONAL = {"MACs": 5, "val best": 4, "time": 3, "sd": 2, "params": 1}  # the highest first, on narrow terminals
_MAX_SETTINGS = 40  # characters of headings


def write_tables(folder: Path, outcomes: Sequence[RunOutcome]) -> list[Path]:
    """Write the table as CSV (one row per run), JSON (runs and variants) and Markdown; returns the paths."""
    content = {CSV: _csv(outcomes), JSON: _json(outcomes), MARKDOWN: markdown(outcomes)}
    for name, text in content.items():
        write_text(folder / name, text)
    return [folder / name for name in content]


def result_table(outcomes: Sequence[RunOutcome]) -> TextTable:
    """The table for a terminal, where its states are coloured, and for logs."""
    heading, rows = _cells(outcomes)
    first = heading.index("params")
    columns = setting_columns(heading[:first])
    columns += [Column(name, optional=_OPTIONAL.get(name, 0)) for name in heading[first:-1]]
    if "sd" in heading:  # a deviation without its mean says nothing
        columns[heading.index("sd")] = Column("sd", optional=_OPTIONAL["val best"])
    return TextTable([*columns, Column(heading[-1], left=True, folds=True)], rows, _STYLES)


def setting_columns(headings: Sequence[str]) -> list[Column]:
    """Columns for numbers and settings that vary. So many that they could not stand side by side are wrapped."""
    folds = sum(map(len, headings)) > _MAX_SETTINGS
    return [Column(heading, folds=folds and len(heading) > 1) for heading in headings]


def markdown(outcomes: Sequence[RunOutcome]) -> str:
    """The table in Markdown."""
    heading, rows = _cells(outcomes)
    heading = [*heading[:-1], "state"]
    return markdown_table(heading, rows)


def markdown_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(outcomes: Sequence[RunOutcome]) -> tuple[list[str], list[list[str]]]:
    keys = list(outcomes[0].values) if outcomes else []
    if "seed" in keys:
        return _variant_cells([key for key in keys if key != "seed"], outcomes_by_variant(outcomes))
    heading = ["#", *labels(keys), "params", "MACs", "val best", "val final", "test", "time", ""]
    return heading, [_run_cells(outcome) for outcome in outcomes]


def _run_cells(outcome: RunOutcome) -> list[str]:
    return [
        str(outcome.number),
        *outcome.values.values(),
        *map(_integer, (outcome.params, outcome.macs)),
        *map(_percent, (outcome.val_best, outcome.val_final, outcome.test)),
        "-" if outcome.seconds is None else duration(outcome.seconds),
        _state(outcome),
    ]


def _variant_cells(keys: Sequence[str], variants: Sequence[VariantOutcome]) -> tuple[list[str], list[list[str]]]:
    heading = [*labels(keys), "params", "MACs", "n", "val best", "sd", "val final", "sd", "test", "sd", "time", ""]
    rows = []
    for variant in variants:
        cells = [*variant.values.values(), *map(_integer, (variant.outcomes[0].params, variant.outcomes[0].macs))]
        cells.append(str(sum(outcome.state == "FINISHED" for outcome in variant.outcomes)))
        for name in ("val_best", "val_final", "test"):
            mean, sd, _ = variant.statistic(name) or (None, None, 0)
            cells += [_percent(mean), _percent(sd)]
        time = variant.statistic("seconds")
        unfinished = [outcome for outcome in variant.outcomes if outcome.state != "FINISHED"]
        remarks = [f"seed {outcome.values['seed']}: {_state(outcome)}" for outcome in unfinished]
        rows.append([*cells, "-" if time is None else duration(time[0]), "; ".join(remarks) or "FINISHED"])
    return heading, rows


def _state(outcome: RunOutcome) -> str:
    if outcome.state == "FINISHED" or not outcome.reason:
        return outcome.state
    return f"{outcome.state}: {outcome.reason.splitlines()[0]}"


def _integer(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _percent(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"


def _csv(outcomes: Sequence[RunOutcome]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", *(outcomes[0].values if outcomes else ()), *COLUMNS])
    for outcome in outcomes:
        writer.writerow([outcome.number, *outcome.values.values(), *outcome.columns.values()])
    return text.getvalue()


def _json(outcomes: Sequence[RunOutcome]) -> str:
    runs = [{"number": outcome.number, "values": dict(outcome.values), **outcome.columns} for outcome in outcomes]
    variants = []
    for variant in outcomes_by_variant(outcomes) if outcomes and "seed" in outcomes[0].values else []:
        statistics: dict[str, Any] = {}
        for name in STATISTICS:
            mean, sd, n = variant.statistic(name) or (None, None, 0)
            statistics[name] = {"mean": mean, "sd": sd, "n": n}
        numbers = [outcome.number for outcome in variant.outcomes]
        variants.append({"values": dict(variant.values), "runs": numbers, **statistics})
    return json.dumps({"format": _JSON_FORMAT, "runs": runs, "variants": variants}, indent=1, allow_nan=False) + "\n"
