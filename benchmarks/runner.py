"""Candidates in turn, A B C A B C, each in a fresh process; what they measured, side by side, in a JSON file.

A candidate is a command that ends by printing one line of JSON. Whatever disturbs the machine for a while disturbs
neighbours alike, so ratios are taken within a round, and their median is what counts. This process stays small: a
process that it starts has the starter's peak memory as a floor under its own.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archsearch.system.atomic import write_text
from archsearch.system.hardware import processor_name
from archsearch.tracking.provenance import provenance

BENCHMARKS = Path(__file__).resolve().parent
RESULTS = BENCHMARKS / "results"
BEGAN = "BENCHMARK_BEGAN"  # in a candidate's environment: when it was started, in seconds since 1970
SKIPPED = 77  # a candidate's exit status where something that it needs is not installed

Row = dict[str, Any]


class BenchmarkError(SystemExit):
    """A benchmark that cannot give a result; the message goes to stderr."""


@dataclass(frozen=True)
class Finished:
    """A process that has ended as it should."""

    seconds: float
    stdout: str


def last_line(done: Finished) -> Row:
    """The JSON of the last line."""
    try:
        row = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise ValueError("its last line is not JSON") from None
    if not isinstance(row, dict):
        raise ValueError("its last line is no JSON object")
    return row


@dataclass(frozen=True)
class Candidate:
    """A command, and how its numbers are read. `{round}` in a word becomes the round's number, from 1."""

    name: str
    command: Sequence[str]
    read: Callable[[Finished], Row] = last_line
    status: int = 0  # that it should end with


@dataclass
class Table:
    """The rows of each candidate, one a round; and why some have none."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def values(self, name: str, metric: str) -> list[float]:
        """What a candidate measured, by round."""
        return [row[metric] for row in self.rows[name]]

    def ratios(self, name: str, base: str, metric: str) -> list[float]:
        """A candidate's value over that of `base`, round by round."""
        return [a / b for a, b in zip(self.values(name, metric), self.values(base, metric), strict=True)]


def alternate(
    candidates: Sequence[Candidate], rounds: int, *, warm_up: bool = False, show: Callable[[str], None] = print
) -> Table:
    """Run all of `candidates`, one after another, `rounds` times over.

    `warm_up` runs a round before that does not count: files get into memory, bytecode is compiled. One whose exit
    status is `SKIPPED` is left out from then on. Raises `BenchmarkError` for one that fails.
    """
    table = Table()
    for number in range(0 if warm_up else 1, rounds + 1):
        for candidate in candidates:
            if candidate.name in table.skipped:
                continue
            row = _run(candidate, number)
            if isinstance(row, str):
                table.skipped[candidate.name] = row
                show(f"SKIPPED {candidate.name}: {row}")
            elif number:
                table.rows.setdefault(candidate.name, []).append(row)
                show(f"round {number}: {candidate.name}: {_in_a_line(row)}")
    return table


def _run(candidate: Candidate, number: int) -> Row | str:
    words = [word.replace("{round}", str(number)) for word in candidate.command]
    environment = {**os.environ, BEGAN: repr(time.time())}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as a person has it: compiled once
    began = time.perf_counter()
    done = subprocess.run(words, cwd=BENCHMARKS, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    said = (done.stderr.strip() or done.stdout.strip())[-2000:]
    if done.returncode == SKIPPED != candidate.status:
        return said.splitlines()[-1] if said else "it does not say why"
    if done.returncode != candidate.status:
        raise BenchmarkError(f"{candidate.name}: exit status {done.returncode}\n{said}")
    try:
        return {"seconds": seconds, **candidate.read(Finished(seconds, done.stdout))}
    except ValueError as error:
        raise BenchmarkError(f"{candidate.name}: {error}\n{done.stdout[-2000:]}\n{said}") from None


def _in_a_line(row: Row) -> str:
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
    return ", ".join(f"{key} {readable(value)}" for key, value in numbers.items())


def readable(value: float) -> str:
    """A number with as many digits as one wants to see."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def require_same(table: Table, base: str, exact: Iterable[str], within: Mapping[str, float]) -> dict[str, float]:
    """See to it that all candidates computed what `base` did; returns the largest differences of means.

    Values of `exact` must be equal in every round; the means of those `within` over the rounds may differ by that
    much. Raises `BenchmarkError`, which lists everything that differs: a ratio of two different things says nothing.
    """
    problems, largest = [], dict.fromkeys(within, 0.0)
    for name, rows in table.rows.items():
        for key in exact:
            found, wanted = {row.get(key) for row in rows}, table.rows[base][0].get(key)
            if found != {wanted}:
                problems.append(f"{name}: {key} is {', '.join(map(str, sorted(found, key=str)))}, not {wanted}")
        for key, tolerance in within.items():
            mine, theirs = (statistics.fmean(table.values(each, key)) for each in (name, base))
            largest[key] = max(largest[key], abs(mine - theirs))
            if not abs(mine - theirs) <= tolerance:  # so that nan is a problem, too
                problems.append(f"{name}: mean {key} is {mine:.2f}, not within {tolerance:g} of {base}'s {theirs:.2f}")
    if problems:
        raise BenchmarkError("\n".join(["the candidates do not compute the same thing:", *problems]))
    return largest


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, range and number of `values`."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def show_spread(found: Mapping[str, float], form: str = "{:,.2f}") -> str:
    """A median with its range, as text."""
    middle, low, high = (form.format(found[key]) for key in ("median", "min", "max"))
    return f"{middle} ({low} to {high})"


def target(what: str, value: float, bound: float, *, at_least: bool = False) -> Row:
    """A value held against what was wanted; prints it."""
    met = value >= bound if at_least else value <= bound
    word = "at least" if at_least else "at most"
    print(f"{'met   ' if met else 'MISSED'}  {what}: {value:.2f}, wanted {word} {bound:g}")
    return {"what": what, "value": value, "bound": bound, "at_least": at_least, "met": met}


def output_of(parser: ArgumentParser, said: Path | None, name: str, *, trial: bool = False) -> Path:
    """Where results go; those of a trial not to where a real result may lie."""
    if trial and said is None:
        parser.error(f"with such settings this is a trial; say --output, so that {name}.json stays what it was")
    return said or RESULTS / f"{name}.json"


def write_results(path: Path, settings: Row, table: Table, metrics: Iterable[str], **more: Any) -> None:
    """Write everything to `path`, by rename: settings, machine, versions, rows, and the `metrics`' medians and ranges.

    Neither paths nor names of this machine or its users get into it.
    """
    known = [
        (name, metric)
        for name, rows in table.rows.items()
        for metric in metrics
        if all(isinstance(row.get(metric), int | float) for row in rows)
    ]
    summary: dict[str, Row] = {name: {} for name in table.rows}
    for name, metric in known:
        summary[name][metric] = spread(table.values(name, metric))
    content = {
        "benchmark": path.stem,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "code": code(),
        "settings": settings,
        "summary": summary,
        **more,
        "rounds": table.rows,
        "skipped": table.skipped,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    print(f"written: {path}")


def machine() -> Row:
    """The hardware and the system, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": provenance(processor_name())["hardware"],
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
    }


def code() -> Row:
    """Versions, and which commit of archsearch this is."""
    known = provenance(processor_name())
    found = {key: value for key, value in known.items() if key.startswith(("versions.", "archsearch."))}
    return {
        **found,
        "commit": known.get("mlflow.source.git.commit", "unknown"),
        "changed_since_commit": known.get("git.dirty", "unknown"),
    }


def load_before() -> float:
    """How busy the machine is, before anything is measured; says so where other processes are at work."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"WARNING: the machine is not idle (load {load:.1f}); the spread will be wide", file=sys.stderr)
    return round(load, 2)
