"""A sweep's plan as text: its table, its summary, its errors."""

from collections.abc import Sequence
from typing import get_args

from archsearch.compose.labels import labels
from archsearch.errors import ConfigError, Problem
from archsearch.runs.formatting import count, duration
from archsearch.sweep.grid import count_runs
from archsearch.sweep.plan import PlannedRun
from archsearch.sweep.record import PlannedState
from archsearch.sweep.result_tables import setting_columns
from archsearch.system.screen import wrapped
from archsearch.system.terminal import Column, TextTable, format_table, terminal_width

_MAX_NAMES = 3  # in an error
_STYLES = {"over budget": "yellow", "invalid": "red", "duplicate": "dim"}


def plan_table(runs: Sequence[PlannedRun], workers: int) -> str:
    """The plan of a sweep for standard output: one row per run, and the summary."""
    keys = list(runs[0].point.values) if runs else []
    rows = []
    for run in runs:
        numbers = (
            ("-", "-", "-")
            if run.plan is None
            else (f"{run.plan.params:,}", f"{run.plan.macs:,}", str(run.plan.receptive_field))
        )
        time = "-" if run.seconds is None or run.state != "READY" else duration(run.seconds)
        remark = "" if run.state == "READY" else f"{state_name(run.state)}: {run.reason}"
        rows.append((str(run.number), *run.point.values.values(), *numbers, time, remark))
    columns = setting_columns(["#", *labels(keys)])
    columns += [
        Column("params"),
        Column("MACs", optional=3),
        Column("receptive field", optional=2),
        Column("est. time", optional=1),
    ]
    remarks = Column("", left=True, folds=any(row[-1] for row in rows))
    summary, width = plan_summary(runs, workers), terminal_width()
    table = format_table(TextTable([*columns, remarks], rows, _STYLES))
    return f"{table}\n\n{summary if width is None else wrapped(summary, width)}"


def plan_summary(runs: Sequence[PlannedRun], workers: int, remaining: Sequence[PlannedRun] | None = None) -> str:
    """How many runs there are and how long they take; `remaining` are those to train, by default all READY ones."""
    ready = [run for run in runs if run.state == "READY"]
    remaining = ready if remaining is None else remaining
    others = [
        f"{number} {state_name(state)}"
        for state in get_args(PlannedState)
        if state != "READY" and (number := sum(run.state == state for run in runs))
    ]
    if len(remaining) < len(ready):
        others.insert(0, f"{len(ready) - len(remaining)} already trained")
    times = [run.seconds or 0.0 for run in remaining]
    total = max(sum(times) / workers, max(times, default=0.0))
    counts = f"{count_runs([run.point.values for run in runs])}: {len(remaining)} to train"
    return f"{', '.join([counts, *others])}; about {duration(total)} with {count(workers, 'worker')}"


def state_name(state: PlannedState) -> str:
    """A state in words, as in `over budget`."""
    return state.lower().replace("_", " ")


def invalid_runs_error(runs: Sequence[PlannedRun]) -> ConfigError | None:
    """The problems of all invalid `runs` as one error, a problem of several runs once; None where all are valid."""
    affected: dict[Problem, list[PlannedRun]] = {}
    for run in runs:
        if run.state == "INVALID":
            for problem in run.problems:
                affected.setdefault(problem, []).append(run)
    if not affected:
        return None
    if all(len(group) == len(runs) for group in affected.values()):
        return ConfigError(affected)
    problems = [Problem(problem.path, f"{problem.message} ({_names(group)})") for problem, group in affected.items()]
    invalid = sum(run.state == "INVALID" for run in runs)
    advice = f"{invalid} of {count(len(runs), 'run')} cannot be trained; correct them, or skip them with"
    return ConfigError([*problems, Problem("sweep", f"{advice} sweep.invalid=skip")])


def _names(runs: Sequence[PlannedRun]) -> str:
    names = ", ".join(f"{run.number}: {run.point.name}" for run in runs[:_MAX_NAMES])
    more = f", and {len(runs) - _MAX_NAMES} more" if len(runs) > _MAX_NAMES else ""
    return f"run{'s' if len(runs) > 1 else ''} {names}{more}"
