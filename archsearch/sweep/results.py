"""The table of a sweep: only what varies, then size, accuracies, time and state; replicates over `seed` as one row."""

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from archsearch.compose.labels import labels
from archsearch.runs.formatting import aligned, duration
from archsearch.runs.result import read_result
from archsearch.sweep.record import Entry, SweepRecord
from archsearch.system.atomic import write_text

CSV, JSON, MARKDOWN = "table.csv", "table.json", "table.md"


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run; accuracies in percent, of the held-out images (`val`) and of the test set."""

    number: int
    values: Mapping[str, str]
    params: int | None
    macs: int | None
    val_best: float | None
    val_final: float | None
    test: float | None
    seconds: float | None  # of training
    epochs: int  # trained
    state: str  # FINISHED, FAILED, KILLED, OVER_BUDGET, INVALID, DUPLICATE or MISSING
    reason: str | None
    run_id: str | None
    recorded: bool = True  # by the tracking store, wholly

    @property
    def is_left(self) -> bool:
        """Whether resuming the sweep would train it."""
        return self.state in ("FAILED", "KILLED", "MISSING")

    @property
    def selecting(self) -> float | None:
        """What runs are compared on: final validation accuracy, else (where nothing was held out) test accuracy."""
        return self.val_final if self.val_final is not None else self.test


@dataclass(frozen=True)
class VariantOutcome:
    """A variant: the outcomes of runs that differ only in their seed."""

    values: Mapping[str, str]  # without the seed
    outcomes: Sequence[RunOutcome]

    def statistic(self, name: str) -> tuple[float, float | None, int] | None:
        """Mean, standard deviation (of two or more) and number of the finished outcomes' `name`."""
        numbers = [
            getattr(it, name) for it in self.outcomes if it.state == "FINISHED" and getattr(it, name) is not None
        ]
        if not numbers:
            return None
        return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None, len(numbers)


def outcomes_of(record: SweepRecord, folder: Path) -> list[RunOutcome]:
    """What became of each run, the best first, then what did not finish."""
    found = [_outcome(entry, record.keys, folder) for entry in record.entries]
    by_number = {outcome.number: outcome for outcome in found}
    for position, entry in enumerate(record.entries):
        if entry.same_as is not None:  # its numbers are the other's, and no result of its own
            twin = by_number[entry.same_as]
            numbers = {name: getattr(twin, name) for name in ("val_best", "val_final", "test", "seconds")}
            found[position] = replace(found[position], **numbers)
    return sorted(found, key=lambda it: (it.state != "FINISHED", -(it.selecting or 0.0), it.number))


def outcomes_by_variant(outcomes: Sequence[RunOutcome]) -> list[VariantOutcome]:
    """Outcomes by all that varies but the seed, the best first."""
    variants: dict[tuple[str, ...], list[RunOutcome]] = {}
    for outcome in outcomes:
        variants.setdefault(tuple(value for key, value in outcome.values.items() if key != "seed"), []).append(outcome)
    found = [
        VariantOutcome({key: value for key, value in members[0].values.items() if key != "seed"}, members)
        for members in variants.values()
    ]
    return sorted(found, key=lambda variant: -(variant.statistic("selecting") or (0.0,))[0])


def _outcome(entry: Entry, keys: Sequence[str], folder: Path) -> RunOutcome:
    result = read_result(folder / entry.folder)
    finished = result is not None and result["state"] == "FINISHED"
    state: str
    state, reason = "MISSING" if entry.state == "READY" else entry.state, entry.reason
    if finished:  # whatever would be said of it now
        state, reason = "FINISHED", None
    elif entry.state == "READY" and entry.failed:
        state = "FAILED"
    elif entry.state == "READY" and result is not None:
        state, reason = result["state"], result["reason"]
        if state == "RUNNING":
            state, reason = "KILLED", "its process died"
    best, final = (result or {}).get("best") or {}, (result or {}).get("final") or {}
    return RunOutcome(
        number=entry.number,
        values={key: entry.values.get(key, "-") for key in keys},
        params=entry.params,
        macs=entry.macs,
        val_best=best.get("val/accuracy"),
        val_final=final.get("val/accuracy"),
        test=final.get("test/accuracy"),
        seconds=result["seconds"] if result else None,
        epochs=result["epochs_trained"] if result else 0,
        state=state,
        reason=reason,
        run_id=result["run_id"] if result else None,
        recorded=result["tracking"].get("complete", True) if result else True,
    )


def write_tables(folder: Path, outcomes: Sequence[RunOutcome]) -> list[Path]:
    """Write the table as CSV (a row a run), JSON (runs and variants) and Markdown; returns the paths."""
    content = {CSV: _csv(outcomes), JSON: _json(outcomes), MARKDOWN: markdown(outcomes)}
    for name, text in content.items():
        write_text(folder / name, text)
    return [folder / name for name in content]


def table_text(outcomes: Sequence[RunOutcome]) -> str:
    """The table for a terminal."""
    heading, rows = _cells(outcomes)
    return "\n".join(aligned([heading, *rows]))


def markdown(outcomes: Sequence[RunOutcome]) -> str:
    """The table in Markdown."""
    heading, rows = _cells(outcomes)
    named = [*heading[:-1], "state"]
    lines = [named, ["---"] * len(named), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(outcomes: Sequence[RunOutcome]) -> tuple[list[str], list[list[str]]]:
    keys = list(outcomes[0].values) if outcomes else []
    replicated = "seed" in keys
    if replicated:
        return _variant_cells([key for key in keys if key != "seed"], outcomes_by_variant(outcomes))
    heading = ["#", *labels(keys), "params", "MACs", "val best", "val final", "test", "time", ""]
    rows = [
        [
            str(it.number),
            *it.values.values(),
            *(_count(number) for number in (it.params, it.macs)),
            *(_percent(number) for number in (it.val_best, it.val_final, it.test)),
            "-" if it.seconds is None else duration(it.seconds),
            _state(it),
        ]
        for it in outcomes
    ]
    return heading, rows


def _variant_cells(keys: Sequence[str], variants: Sequence[VariantOutcome]) -> tuple[list[str], list[list[str]]]:
    heading = [*labels(keys), "params", "MACs", "n", "val best", "sd", "val final", "sd", "test", "sd", "time", ""]
    rows = []
    for variant in variants:
        cells = [*variant.values.values(), *map(_count, (variant.outcomes[0].params, variant.outcomes[0].macs))]
        cells.append(str(sum(it.state == "FINISHED" for it in variant.outcomes)))
        for name in ("val_best", "val_final", "test"):
            mean, sd, _ = variant.statistic(name) or (None, None, 0)
            cells += [_percent(mean), _percent(sd)]
        time = variant.statistic("seconds")
        missing = [f"seed {it.values['seed']}: {_state(it)}" for it in variant.outcomes if it.state != "FINISHED"]
        rows.append([*cells, "-" if time is None else duration(time[0]), "; ".join(missing) or "FINISHED"])
    return heading, rows


def _state(outcome: RunOutcome) -> str:
    if outcome.state == "FINISHED":
        return outcome.state
    return outcome.state if not outcome.reason else f"{outcome.state}: {outcome.reason.splitlines()[0]}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _percent(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"


_COLUMNS = ("params", "macs", "val_best", "val_final", "test", "seconds", "epochs", "state", "reason", "run_id")


def _csv(outcomes: Sequence[RunOutcome]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", *(outcomes[0].values if outcomes else ()), *_COLUMNS])
    for it in outcomes:
        writer.writerow([it.number, *it.values.values(), *(getattr(it, name) for name in _COLUMNS)])
    return text.getvalue()


def _json(outcomes: Sequence[RunOutcome]) -> str:
    runs = [{"number": it.number, "values": dict(it.values), **_plain(it)} for it in outcomes]
    variants = []
    for variant in outcomes_by_variant(outcomes) if outcomes and "seed" in outcomes[0].values else []:
        numbers: dict[str, Any] = {}
        for name in ("val_best", "val_final", "test", "seconds"):
            mean, sd, n = variant.statistic(name) or (None, None, 0)
            numbers[name] = {"mean": mean, "sd": sd, "n": n}
        variants.append({"values": dict(variant.values), "runs": [it.number for it in variant.outcomes], **numbers})
    return json.dumps({"runs": runs, "variants": variants}, indent=1, allow_nan=False) + "\n"


def _plain(outcome: RunOutcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in _COLUMNS}
