"""The leaderboard as data, for pandas and spreadsheets: a row per variant, with its settings, scores and runs."""

import csv
import io
import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

from archsearch.report.findings import Findings
from archsearch.report.leaderboard import LeaderboardRow
from archsearch.report.statistics import Estimate
from archsearch.report.text import headline


def csv_text(findings: Sequence[Findings]) -> str:
    """One row per variant of all studies. Columns that do not apply are empty; lists are separated by spaces."""
    rows = [
        {"study": number, **_flat(_row(row, study))}
        for number, study in enumerate(findings, 1)
        for row in study.board.rows
    ]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_text(title: str, command: str | None, findings: Sequence[Findings], notes: Sequence[str] = ()) -> str:
    """The same, nested, with the sentences and notes of each study."""
    studies = [
        {
            "headline": headline(study),
            "ranked_on": study.study.judged_on,
            "factors": list(study.study.factors),
            "sentences": list(study.sentences),
            "notes": list(study.notes),
            "variants": [_row(row, study) for row in study.board.rows],
        }
        for study in findings
    ]
    content = {"title": title, "command": command, "notes": list(notes), "studies": studies}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _row(row: LeaderboardRow, findings: Findings) -> dict[str, Any]:
    variant, against, board = row.variant, row.against, findings.board
    by_class = findings.class_accuracy if variant is findings.shown else {}
    difference = against.difference if against is not None else None
    runs = list(variant.runs.values())
    return {
        "number": row.number,
        "place": row.place,
        "tied": row.tied,
        "variant": variant.label,
        "settings": dict(variant.values),
        "seeds": list(variant.runs),
        "failed": variant.failed,
        board.study.judged_on: _estimate(row.score),
        "compared_with": board.reference.label if against is not None else None,
        "difference": _estimate(difference),
        "p": _finite(against.p) if against is not None else None,
        "verdict": against.verdict if against is not None else None,
        "best": _finite(variant.mean("best")),
        **({} if board.study.on_test else {"test": _estimate(row.test)}),
        "params": _count(variant.mean("params")),
        "macs": _count(variant.mean("macs")),
        "epoch_seconds": _finite(variant.mean("epoch_seconds")),
        "run_ids": [run.run_id for run in runs],
        "command": runs[0].command,
        **({"class_accuracy": {name: _finite(value) for name, value in by_class.items()}} if by_class else {}),
    }


def _estimate(estimate: Estimate | None) -> dict[str, float | None]:
    values = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    return dict(zip(("mean", "low", "high"), map(_finite, values), strict=True))


def _finite(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else round(value, 6) + 0.0  # not -0.0


def _count(value: float | None) -> float | None:
    """A mean of counts: an integer, unless they differ."""
    number = _finite(value)
    return int(number) if number is not None and number.is_integer() else number


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if name == "settings":
            cells |= value
        elif isinstance(value, dict):
            cells |= {name if part == "mean" else f"{name}_{part}": number for part, number in value.items()}
        else:
            cells[name] = " ".join(map(str, value)) if isinstance(value, list) else value
    return cells
