"""Runs candidates in turn, A B C A B C, each in a fresh process, and compares what they print.

A candidate is a command whose last line of output is a JSON object. Whatever slows the machine down for a while affects
neighbouring candidates alike, so ratios are taken within a round, and the median over rounds is reported. This process
stays small: the peak memory of a process is never reported as less than that of the process that started it.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from candidates.reference import BEGAN, SKIPPED
from checkout import BENCHMARKS
from summary import Row, readable


class BenchmarkError(SystemExit):
    """A benchmark that cannot give a result; the message goes to stderr."""


@dataclass(frozen=True)
class Finished:
    """A process that exited with the expected status."""

    seconds: float
    stdout: str


def last_line(process: Finished) -> Row:
    """The JSON object in the last line of the output. Raises `ValueError`."""
    try:
        row = json.loads(process.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise ValueError("its last line is not JSON") from None
    if not isinstance(row, dict):
        raise ValueError("its last line is not a JSON object")
    return row


@dataclass(frozen=True)
class Candidate:
    """A command, and how its numbers are read. `{round}` in an argument becomes the round's number, from 1."""

    name: str
    command: Sequence[str]
    read: Callable[[Finished], Row] = last_line
    status: int = 0  # the expected exit status


@dataclass
class Table:
    """One row per candidate and round, and the reasons why candidates were skipped."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def values(self, name: str, metric: str) -> list[float]:
        """A candidate's values, one per round."""
        return [row[metric] for row in self.rows[name]]

    def ratios(self, name: str, base: str, metric: str) -> list[float]:
        """A candidate's values divided by those of `base`, one per round."""
        return [a / b for a, b in zip(self.values(name, metric), self.values(base, metric), strict=True)]


def alternate(
    candidates: Sequence[Candidate], rounds: int, *, warm_up: bool = False, show: Callable[[str], None] = print
) -> Table:
    """Run all `candidates`, one after another, `rounds` times.

    `warm_up` adds a first round that is not recorded: it fills the file cache and compiles bytecode. A candidate that
    exits with status `SKIPPED` is not run again. Raises `BenchmarkError` if a candidate fails.
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
                show(f"round {number}: {candidate.name}: {_one_line(row)}")
    return table


def _run(candidate: Candidate, number: int) -> Row | str:
    """The row of a round, or the reason why the candidate is skipped."""
    command = [argument.replace("{round}", str(number)) for argument in candidate.command]
    environment = {**os.environ, BEGAN: repr(time.time())}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode is cached, as it is for users
    began = time.perf_counter()
    process = subprocess.run(command, cwd=BENCHMARKS, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    message = (process.stderr.strip() or process.stdout.strip())[-2000:]
    if process.returncode == SKIPPED != candidate.status:
        return message.splitlines()[-1] if message else "no reason given"
    if process.returncode != candidate.status:
        raise BenchmarkError(f"{candidate.name}: exit status {process.returncode}\n{message}")
    try:
        return {"seconds": seconds, **candidate.read(Finished(seconds, process.stdout))}
    except ValueError as error:
        raise BenchmarkError(f"{candidate.name}: {error}\n{process.stdout[-2000:]}\n{message}") from None


def _one_line(row: Row) -> str:
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
    return ", ".join(f"{key} {readable(value)}" for key, value in numbers.items())


def require_same(table: Table, base: str, exact: Iterable[str], within: Mapping[str, float]) -> dict[str, float]:
    """Check that all candidates computed the same as `base`; returns the largest differences of means.

    Values of `exact` must be equal in every round. The means over rounds of the values in `within` may differ by at
    most the number given. Raises `BenchmarkError`, which lists every difference: a ratio of two different computations
    is meaningless.
    """
    problems, largest = [], dict.fromkeys(within, 0.0)
    for name, rows in table.rows.items():
        for key in exact:
            values, expected = {row.get(key) for row in rows}, table.rows[base][0].get(key)
            if values != {expected}:
                problems.append(f"{name}: {key} is {', '.join(map(str, sorted(values, key=str)))}, not {expected}")
        for key, tolerance in within.items():
            mean, base_mean = (statistics.fmean(table.values(candidate, key)) for candidate in (name, base))
            difference = abs(mean - base_mean)
            largest[key] = max(largest[key], difference)
            if not difference <= tolerance:  # true for nan, too
                problems.append(
                    f"{name}: mean {key} is {mean:.2f}, not within {tolerance:g} of {base}'s {base_mean:.2f}"
                )
    if problems:
        raise BenchmarkError("\n".join(["the candidates do not compute the same thing:", *problems]))
    return largest
