"""The end of a search: the front is printed; tables and figures of all trials are written and recorded in MLflow."""

import csv
import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from archsearch.compose.labels import labels
from archsearch.runs.folder import FRONT
from archsearch.runs.formatting import count, duration
from archsearch.runs.result import read_result
from archsearch.search.pictures import draw_search
from archsearch.search.spending import Spending
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.result_tables import setting_columns, write_tables
from archsearch.sweep.results import RunOutcome, outcomes_of
from archsearch.system.atomic import write_text
from archsearch.system.screen import doing
from archsearch.system.terminal import Column, TextTable
from archsearch.tracking.recorder import Recorder

log = logging.getLogger(__name__)


def close_search(record: SweepRecord, folder: Path, spending: Spending, front: Sequence[int], parent: Recorder) -> None:
    """Write, draw, record and print the trials of the search in `folder`; `front` are the numbers of the best."""
    outcomes = outcomes_of(record, folder)
    on_front = [outcome for number in front for outcome in outcomes if outcome.number == number]
    table = front_table(on_front)
    log.info("%s", counts(outcomes, spending))
    if on_front:
        log.info(table)
        log.info("These accuracies chose the trials, so they are optimistic; the test set has not been read.")
    tables = [*write_tables(folder, outcomes), folder / FRONT]
    write_text(folder / FRONT, _csv(on_front))
    with doing("drawing the search's figures"):
        pictures = draw_search(folder, record, front)
    with doing("recording the search in MLflow"):
        parent.log_artifacts([folder / "multirun.yaml", *tables, *pictures])
        parent.set_description(f"{counts(outcomes, spending)}\n\n{_markdown(table)}")
    with doing("waiting for MLflow"):
        parent.finish(record.state)
    record.tracking |= parent.describe()
    if record.entries:
        record.write(folder)
    relative = os.path.relpath(folder)
    log.info("folder   %s", folder if relative.startswith("..") else relative)


def counts(outcomes: Sequence[RunOutcome], spending: Spending) -> str:
    """`60 trials: 12 trained, 45 stopped early, 3 failed; 141 epochs, 12 min`."""
    states = [outcome.state for outcome in outcomes]
    parts = [f"{states.count('FINISHED')} trained", f"{states.count('STOPPED')} stopped early"]
    parts += [f"{states.count('FAILED')} failed"] * ("FAILED" in states)
    unfinished = sum(outcome.state in ("KILLED", "MISSING") for outcome in outcomes)
    parts += [f"{unfinished} unfinished"] * bool(unfinished)
    spent = f"{count(spending.epochs, 'epoch')}, {duration(spending.seconds)}"
    return f"{count(len(states), 'trial')}: {', '.join(parts)}; {spent}"


def front_table(outcomes: Sequence[RunOutcome]) -> TextTable:
    """The trials on the front, in their order."""
    keys = list(outcomes[0].values) if outcomes else []
    columns = [*setting_columns(["trial", *labels(keys)]), Column("val"), Column("params"), Column("MACs")]
    rows = [
        (
            str(outcome.number), *outcome.values.values(), f"{outcome.val_final or 0:.2f}",
            f"{outcome.params or 0:,}", f"{outcome.macs or 0:,}",
        )
        for outcome in outcomes
    ]  # fmt: skip
    return TextTable(columns, rows)


def _csv(outcomes: Sequence[RunOutcome]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *(outcomes[0].values if outcomes else ()), "val/accuracy", "params", "macs"])
    for outcome in outcomes:
        writer.writerow([outcome.number, *outcome.values.values(), outcome.val_final, outcome.params, outcome.macs])
    return text.getvalue()


def _markdown(table: TextTable) -> str:
    lines = [[column.heading for column in table.columns], ["---"] * len(table.columns), *table.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def optimism(trials: SweepRecord, folder: Path, finalists: Sequence[RunOutcome]) -> str | None:
    """By how much the accuracies that chose the finalists were higher than those of fresh seeds, in words."""
    differences = []
    for number in dict.fromkeys(outcome.values["trial"] for outcome in finalists):
        entry = next(entry for entry in trials.entries if str(entry.number) == number)
        chosen = (read_result(folder / entry.folder) or {}).get("final") or {}
        fresh = [o.val_final for o in finalists if o.values["trial"] == number and o.val_final is not None]
        if fresh and "val/accuracy" in chosen:
            differences.append(chosen["val/accuracy"] - sum(fresh) / len(fresh))
    if not differences:
        return None
    mean = sum(differences) / len(differences)
    higher = "higher" if mean >= 0 else "lower"
    return (
        f"The accuracies by which {count(len(differences), 'finalist')} won were {abs(mean):.2f} points {higher} on"
        " average than those of fresh seeds."
    )
