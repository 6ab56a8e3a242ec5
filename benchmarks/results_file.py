"""The JSON file that a benchmark writes."""

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import machine
from checkout import BENCHMARKS
from runner import Table
from summary import Row, spread

from archsearch.system.atomic import write_text

RESULTS = BENCHMARKS / "results"


def output_path(parser: ArgumentParser, output: Path | None, name: str, *, trial: bool = False) -> Path:
    """The file for the results: `output`, or `name` in `benchmarks/results`.

    A trial never overwrites published results: it exits with a usage error if `output` is None.
    """
    if trial and output is None:
        parser.error(f"--output: required with these settings, which make this a trial; {name}.json is not overwritten")
    return output or RESULTS / f"{name}.json"


def write_results(path: Path, settings: Row, table: Table, metrics: Iterable[str], **more: Any) -> None:
    """Write settings, machine, versions, all rows, and the `metrics`' medians and ranges to `path`, by rename.

    The file has no paths and no names of the machine or its users.
    """
    numeric = [
        (name, metric)
        for name, rows in table.rows.items()
        for metric in metrics
        if all(isinstance(row.get(metric), int | float) for row in rows)
    ]
    summary: dict[str, Row] = {name: {} for name in table.rows}
    for name, metric in numeric:
        summary[name][metric] = spread(table.values(name, metric))
    content = {
        "benchmark": path.stem,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.hardware(),
        "code": machine.code(),
        "settings": settings,
        "summary": summary,
        **more,
        "rounds": table.rows,
        "skipped": table.skipped,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    print(f"written: {path}")
