"""The end of a search: the front is printed; tables and figures of all trials are written and recorded in MLflow."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from archsearch.errors import first_line
from archsearch.runs.folder import FRONT
from archsearch.runs.formatting import count, duration
from archsearch.search.front import front_csv, front_table
from archsearch.search.pictures import draw_search
from archsearch.search.spending import Spending
from archsearch.search.summary import Summary
from archsearch.search.trials import Moment, measured_objective
from archsearch.sweep.result_tables import markdown_table, write_tables
from archsearch.sweep.results import RunOutcome, outcomes_of
from archsearch.system.atomic import write_text
from archsearch.system.screen import doing
from archsearch.tracking.recorder import Recorder

log = logging.getLogger(__name__)

WritePage: TypeAlias = Callable[[Summary], Path]  # which is the business of a room above


def close_search(search: Summary, spending: Spending, parent: Recorder, write_page: WritePage | None) -> list[Path]:
    """Write, draw, record and print what the search has found; returns the path of its page, if it has one."""
    record, folder, objectives = search.record, search.folder, search.objectives
    table = front_table(search.front, objectives)
    summary = counts(search, spending)
    log.info("%s", summary)
    if search.front:
        log.info(table)
    if search.front and not record.evaluated:
        log.info("These accuracies chose the trials, so they are optimistic; the test set has not been read.")
    tables = [*write_tables(folder, outcomes_of(record, folder)), folder / FRONT]
    write_text(folder / FRONT, front_csv(search.front, objectives))
    with doing("drawing the search's figures"):
        pictures = draw_search(search)
        pages = write_or_warn(search, write_page)
    with doing("recording the search in MLflow"):
        parent.log_artifacts([folder / "multirun.yaml", *tables, *pictures, *pages])
        parent.set_description(
            f"{summary}\n\n{markdown_table([column.heading for column in table.columns], table.rows)}"
        )
        _log_metrics(parent, search.moments, measured_objective(objectives))
    with doing("waiting for MLflow"):
        parent.finish(record.state)
    record.tracking |= parent.describe()
    if record.entries:
        record.write(folder)
    log.info("folder   %s", _relative(folder))
    return pages


def write_or_warn(search: Summary, write_page: WritePage | None) -> list[Path]:
    """Write the page of the search; returns its path, or warns that there is none, as the results are complete."""
    if write_page is None:
        return []
    try:
        return [write_page(search)]
    except Exception as error:
        log.warning("WARNING: the search has no page: %s", first_line(error))
        return []


def show_page(pages: Sequence[Path]) -> None:
    """Say where the page of the search is."""
    for page in pages:
        log.info("page     %s", _relative(page))


def _relative(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _log_metrics(parent: Recorder, reached: Sequence[Moment], name: str) -> None:
    """Record the best value so far as a curve over trials, and the hypervolume of the front as a number."""
    if not reached:
        return
    best = None
    for moment in reached:
        if moment.best != best or moment is reached[-1]:
            best = moment.best
            parent.log_metrics({f"best/{name}": best}, moment.trials, moment.timestamp)
    last = reached[-1]
    if last.hypervolume is not None:
        parent.log_results({"hypervolume": last.hypervolume}, last.trials, last.timestamp)


def counts(search: Summary, spending: Spending) -> str:
    """`60 trials: 12 trained, 45 stopped early, 3 failed; 141 epochs, 12 min`."""
    states = [trial.outcome.state for trial in search.trials.values()]
    if search.record.evaluated:
        parts = [f"{states.count('FINISHED')} evaluated"]
    else:
        parts = [f"{states.count('FINISHED')} trained", f"{states.count('STOPPED')} stopped early"]
    parts += [f"{states.count('FAILED')} failed"] * ("FAILED" in states)
    unfinished = sum(state in ("KILLED", "MISSING") for state in states)
    parts += [f"{unfinished} unfinished"] * bool(unfinished)
    spent = ", ".join([*[count(spending.epochs, "epoch")] * bool(spending.epochs), duration(spending.seconds)])
    of_study = f" of {spending.trials:,} in the study" if spending.trials > len(states) else ""
    return f"{count(len(states), 'trial')}{of_study}: {', '.join(parts)}; {spent}"


def optimism(chosen: Mapping[int, Mapping[str, float]], finalists: Sequence[RunOutcome]) -> str | None:
    """By how much the accuracies that chose the finalists were higher than those of fresh seeds, in words.

    `chosen` has the objectives of the finalists' trials by number.
    """
    differences = []
    for number, objectives in chosen.items():
        fresh = [o.val_final for o in finalists if o.values["trial"] == str(number) and o.val_final is not None]
        if fresh:
            differences.append(objectives["val/accuracy"] - sum(fresh) / len(fresh))
    if not differences:
        return None
    mean = sum(differences) / len(differences)
    higher = "higher" if mean >= 0 else "lower"
    return (
        f"The accuracies by which {count(len(differences), 'finalist')} won were {abs(mean):.2f} points {higher} on"
        " average than those of fresh seeds."
    )
