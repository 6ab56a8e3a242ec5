"""The page of a search, `search.html` in its folder: front, plots, why trials stopped, what mattered, its finalists."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from markupsafe import Markup

from archsearch.compose.labels import labels
from archsearch.compose.overrides import as_typed
from archsearch.compose.validate import validate
from archsearch.errors import ConfigError, ResumeError
from archsearch.model.plan import Plan
from archsearch.report.layout import render
from archsearch.report.network_picture import network_drawing
from archsearch.report.run_files import run_link
from archsearch.report.search_pictures import NAMES, name_of, progress_plot, shares_plot, trials_plot
from archsearch.report.tables import Cell, Table
from archsearch.runs.folder import read_config
from archsearch.runs.formatting import count, duration
from archsearch.runs.result import read_result
from archsearch.search.front import front_columns, shown
from archsearch.search.objectives import DIRECTIONS
from archsearch.search.pareto import best_first
from archsearch.search.summary import Summary
from archsearch.search.trials import Trial, losses, measured_objective
from archsearch.sweep.results import RunOutcome
from archsearch.system.atomic import write_text
from archsearch.system.terminal import printable

SEARCH_PAGE = "search.html"
_MOST_ROWS = 50  # of the table of the front
_MOST_BEST = 10  # of it, where there is one objective
_MOST_DRAWINGS = 5  # where there are no finalists
_STOPPING = {
    "halving": "Of the trials that have trained so many epochs, the best 1 in {reduction} train on; the others stop.",
    "median": "A trial stops where its best accuracy so far is below the median of the others' means up to there.",
    "none": "All trials train to the end.",
}


def write_search_page(search: Summary) -> Path:
    """Write the page of a search into its folder; returns its path."""
    record = search.record
    sweepers = [word for word in record.hydra if word.startswith("hydra/sweeper=")]
    words = " ".join(quote(as_typed(word)) for word in [*sweepers, *record.overrides])
    text = render(
        "search.html",
        title=f"search {printable(record.id)}",
        command=None if record.evaluated else printable(f"python -m archsearch -m {words}"),
        headline=_headline(search),
        sentences=list(_sentences(search)),
        finalists=_finalists_table(search) if search.finalists else None,
        best=_best_table(search) if search.front else None,
        more=max(0, len(search.front) - _MOST_ROWS),
        plots=list(_plots(search)),
        drawings=list(_drawings(search)),
        stops=_stops_table(search) if search.rungs and not record.evaluated else None,
        rule=_STOPPING.get(str(search.configuration.get("search.stopping")), "").format(
            reduction=search.configuration.get("search.reduction")
        ),
        failures=search.failures,
        importance=_importance(search) if search.front else None,
        objectives=[f"{name} ({_goal(name)})" for name in search.objectives],
        measured=measured_objective(search.objectives),
        is_evaluated=record.evaluated,
        has_volume=len(search.objectives) > 1,
        files=[name for name in ("front.csv", "table.csv", "search.png") if (search.folder / name).is_file()],
    )
    path = search.folder / SEARCH_PAGE
    write_text(path, text)
    return path


def _goal(objective: str) -> str:
    return "highest" if DIRECTIONS[objective] == "maximize" else "lowest"


def _headline(search: Summary) -> str:
    """`60 trials: 12 trained, 45 stopped early, 3 failed; 141 epochs in 12 min`."""
    states = [trial.outcome.state for trial in search.trials.values()]
    words = {"FINISHED": "evaluated" if search.record.evaluated else "trained", "STOPPED": "stopped early"}
    words |= {"FAILED": "failed", "KILLED": "interrupted", "MISSING": "not begun"}
    parts = [f"{states.count(state):,} {word}" for state, word in words.items() if state in states]
    epochs = sum(trial.outcome.epochs for trial in search.trials.values())
    spent = (
        f"{count(epochs, 'epoch')} in {duration(search.record.seconds)}" if epochs else duration(search.record.seconds)
    )
    return f"{count(len(states), 'trial')}: {', '.join(parts) or 'none'}; {spent}"


def _sentences(search: Summary) -> Iterator[str]:
    measured = measured_objective(search.objectives)
    if not search.front:
        yield "No trial has been trained to the end, so there is nothing to show"
        return
    best_of = max if DIRECTIONS[measured] == "maximize" else min
    best = best_of(search.front, key=lambda trial: trial.values[measured])
    unit = " %" if measured == "val/accuracy" and not search.record.evaluated else ""
    yield (
        f"The best {name_of(measured, search).removesuffix(', %')} is {shown(measured, best)}{unit}, of trial"
        f" {best.number} with {shown('params', best)} parameters"
    )
    if len(search.front) > 1:
        sizes = sorted(trial.values["params"] for trial in search.front)
        yield f"The front has {len(search.front)} trials of {sizes[0]:,.0f} to {sizes[-1]:,.0f} parameters"
    if search.record.evaluated:
        yield "Nothing was trained: a function of the plan gave these values"
    elif not search.finalists:
        yield "These values chose the trials, so they are optimistic; the test set has not been read"


def _best_table(search: Summary) -> Table:
    """The front or, with one objective, the best trials."""
    trials = search.front[:_MOST_ROWS]
    if len(search.objectives) == 1:
        trained = [trial for trial in search.trials.values() if trial.is_trained and trial.values]
        trials = [trained[row] for row in best_first(losses(trained, search.objectives))][:_MOST_BEST]
    names = front_columns(trials, search.objectives)
    keys = list(trials[0].outcome.values)
    has_links = any(_link(trial) for trial in trials)
    rows = [
        [
            Cell(str(trial.number), trial.number, link=_folder_link(trial)),
            *[Cell(printable(value), _key(value)) for value in trial.outcome.values.values()],
            *[Cell(shown(name, trial), trial.values[name]) for name in names],
            *[Cell((trial.outcome.run_id or "-")[:8], link=_link(trial))] * has_links,
        ]
        for trial in trials
    ]
    headings = [NAMES[name] if not name.startswith("val/") else name_of(name, search) for name in names]
    rule = "No other trial is better in one objective and no worse in the others"
    columns = ["trial", *labels(keys), *headings, *["MLflow"] * has_links]
    return Table(rule if len(search.objectives) > 1 else f"By {search.objectives[0]}", columns, rows, folds=("change",))


def _key(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _folder_link(trial: Trial) -> str | None:
    return f"{trial.folder.name}/" if trial.folder.is_dir() else None


def _link(trial: Trial) -> str | None:
    """The page of a trial in MLflow."""
    tracking = (read_result(trial.folder) or {}).get("tracking", {})
    return run_link(tracking.get("uri"), tracking.get("experiment_id"), trial.outcome.run_id or "", 5000)


def _finalists_table(search: Summary) -> Table:
    """Each finalist: the value that chose it, and what fresh seeds have reached."""
    rows = []
    for number, outcomes in _by_trial(search.finalists).items():
        trial = search.trial(number)
        fresh, test = ([getattr(o, name) for o in outcomes if o.state == "FINISHED"] for name in ("val_final", "test"))
        chosen = trial.values.get("val/accuracy")
        rows.append(
            [
                Cell(str(number), number, link=_folder_link(trial)),
                Cell(f"{trial.outcome.params:,}", trial.outcome.params),
                Cell("-" if chosen is None else f"{chosen:.2f}", chosen),
                *[_mean_cell([value for value in values if value is not None]) for values in (fresh, test)],
                Cell(str(len(fresh)), len(fresh)),
            ]
        )
    columns = ["trial", "parameters", "chosen by, %", "validation with fresh seeds, %", "test, %", "seeds"]
    return Table("Finalists: the best trials, trained again with fresh seeds", columns, rows)


def _mean_cell(values: Sequence[float]) -> Cell:
    if not values:
        return Cell("-")
    mean = statistics.fmean(values)
    return Cell(f"{mean:.2f} +- {statistics.stdev(values):.2f}" if len(values) > 1 else f"{mean:.2f}", mean)


def _by_trial(outcomes: Sequence[RunOutcome]) -> dict[int, list[RunOutcome]]:
    groups: dict[int, list[RunOutcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.number):
        groups.setdefault(int(outcome.values["trial"]), []).append(outcome)
    return groups


def _stops_table(search: Summary) -> Table:
    rows = []
    for rung in search.rungs:
        on = rung.reached - rung.stopped - rung.finished
        numbers = (rung.epochs, rung.reached, rung.stopped, on, rung.finished)
        rows.append([Cell(f"{number:,}", number) for number in numbers])
    columns = ["epochs", "trials that reached them", "stopped there", "went on", "fully trained"]
    return Table("Where trials stopped", columns, rows)


def _importance(search: Summary) -> dict[str, Any] | None:
    importances = search.importances
    if not importances.explanation:
        return None
    shares = dict(zip(labels(importances.shares), importances.shares.values(), strict=True))
    rows = [[Cell(name), Cell(f"{100 * share:.0f}", share)] for name, share in shares.items()]
    return {
        "explanation": importances.explanation,
        "picture": Markup(shares_plot(shares)) if shares else None,
        "table": Table("Importance of settings", ["setting", "% of the importance"], rows) if shares else None,
    }


def _plots(search: Summary) -> Iterator[dict[str, Any]]:
    measured = measured_objective(search.objectives)
    if any(trial.values for trial in search.trials.values()):
        costs = [name for name in search.objectives if name != measured] or ["params"]
        stopped = "" if search.record.evaluated else " Grey ones stopped early; those far below may be cut off."
        for cost in costs:
            caption = f"Trials on the front are blue.{stopped}"
            title = f"{name_of(measured, search).removesuffix(', %')} against {NAMES[cost]}"
            yield _plot(title, trials_plot(search, cost), caption)
    if search.moments:
        for spent in ("trials", "seconds") if search.record.evaluated else ("trials", "epochs", "seconds"):
            ends = "was evaluated" if search.record.evaluated else "has trained all its epochs"
            yield _plot(f"Best so far over {spent}", progress_plot(search, spent), f"A dot is a trial that {ends}.")


def _plot(title: str, picture: str, caption: str) -> dict[str, Any]:
    heading = title if title.startswith("val/") else title[:1].upper() + title[1:]
    return {"title": heading, "picture": Markup(picture), "caption": caption}


def _drawings(search: Summary) -> Iterator[dict[str, Any]]:
    """The networks of the finalists or, without any, of the best trials."""
    numbers = list(_by_trial(search.finalists)) or [trial.number for trial in search.front[:_MOST_DRAWINGS]]
    for number in numbers:
        plan = _plan_of(search.trial(number).folder)
        if plan is not None:
            name = f"Trial {number}"
            caption = printable(search.trial(number).name)
            yield _plot(name, network_drawing(plan, name), caption)


def _plan_of(folder: Path) -> Plan | None:
    """The plan of the trial in `folder`; None if its configuration cannot be read."""
    try:
        return validate(read_config(folder)).require()[1]
    except (ConfigError, ResumeError):
        return None
