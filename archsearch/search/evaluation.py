"""A search whose trials are not trained: a function of the user's gives the objectives of each plan.

It is called in this process, one trial after another. What it returned stands in a `result.json` like that of a trained
trial, without epochs, beside the configuration, so that tables, fronts and a later session find it where they look.
"""

import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from math import isfinite
from typing import Any, SupportsFloat, TypeAlias

import yaml

from archsearch.compose.overrides import as_typed
from archsearch.config.search import SearchSettings
from archsearch.config.settings import DataSettings
from archsearch.data.load import ResolvedDataset, named_dataset
from archsearch.errors import ConfigError, Problem, ResumeError, did_you_mean, first_line
from archsearch.model.plan import Plan
from archsearch.runs.folder import CONFIG
from archsearch.runs.result import RESULT
from archsearch.search.objectives import BY_ARITHMETIC, DIRECTIONS
from archsearch.sweep.pool_base import PoolListener
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.worker import LOG, AttemptEnd, Job, Team
from archsearch.system.atomic import write_text

log = logging.getLogger(__name__)

Evaluate: TypeAlias = Callable[[Plan], SupportsFloat | Mapping[str, SupportsFloat]]

RESUME = 'resume   archsearch.run_search("%s", evaluate=...)  %s'
_TICK = 0.5  # seconds between two updates of the display
# Settings that say how trials are trained, with the one value that is true of a search that trains nothing.
_OF_TRAINING = {
    "search.stopping": "none",
    "search.min_epochs": None,
    "search.reduction": None,
    "search.finalists": "0",
    "search.finalist_seeds": None,
    "search.budget.epochs": "null",
    "search.engine": "archsearch",
    "search.join": "null",
    "search.storage": "null",
    "search.lease": None,
}

_function: ContextVar[Evaluate | None] = ContextVar("evaluate", default=None)


@contextmanager
def evaluating(function: Any) -> Iterator[None]:
    """Searches that begin in this context call `function` in place of training. Raises `ConfigError`."""
    if not callable(function):
        rule = "must be a function that takes a plan and returns a number, or a mapping of objectives"
        raise ConfigError([Problem("evaluate", f"got {function!r}, {rule}")])
    token = _function.set(function)
    try:
        yield
    finally:
        _function.reset(token)


def evaluate_function() -> Evaluate | None:
    """The function that searches call in place of training, if there is one."""
    return _function.get()


def check_untrained(overrides: Sequence[str], search: SearchSettings) -> None:
    """Raise `ConfigError` for settings of a search that only mean something where trials are trained."""
    problems = []
    for override in map(as_typed, overrides):
        key, _, value = override.lstrip("+").partition("=")
        if key in _OF_TRAINING and value != _OF_TRAINING[key]:
            rule = "means nothing in a search with `evaluate`, which trains nothing; leave it out"
            problems.append(Problem(key, f"got {value}, which {rule}"))
    if search.budget.trials is None and search.budget.seconds is None and not problems:
        problems.append(Problem("search.budget", "has no limit; set trials or seconds"))
    if problems:
        raise ConfigError(problems)


def check_same_kind(before: SweepRecord, function: Evaluate | None) -> None:
    """Raise `ResumeError` if the search `before` began with such a function and goes on without, or the other way."""
    if before.evaluated and function is None:
        call = "archsearch.run_search('resume=last', evaluate=FUNCTION)"
        raise ResumeError(f"resume: the search began with a function that evaluates its trials; resume it with {call}")
    if function is not None and not before.evaluated:
        raise ResumeError("resume: the search trains its trials; resume it without `evaluate`, or start a new one")


def unread_dataset(data: DataSettings) -> ResolvedDataset:
    """The data set that `data` name, whose images are not needed."""
    return ResolvedDataset(named_dataset(data))


def evaluate_trials(
    function: Evaluate, objectives: Sequence[str], next_team: Callable[[], Team | None], listener: PoolListener
) -> None:
    """Evaluate trials until there is none left, as a pool trains them.

    An exception of `function`, or a number that is not finite, fails the trial. Raises `ConfigError` if what it returns
    can never be used, after which the search can be resumed, and `KeyboardInterrupt`.
    """
    ticked = time.monotonic()
    while (team := next_team()) is not None:
        (job,) = team
        listener.started(job, 1, 0)
        listener.ended(job, _evaluated(function, objectives, job), False)
        if time.monotonic() - ticked >= _TICK:
            ticked = time.monotonic()
            listener.tick()


def _evaluated(function: Evaluate, objectives: Sequence[str], job: Job) -> AttemptEnd:
    job.folder.mkdir(parents=True, exist_ok=True)
    write_text(job.folder / CONFIG, yaml.dump(dict(job.prepared.request.config), Dumper=_DUMPER, sort_keys=False))
    began = time.perf_counter()
    values: dict[str, float] = {}
    reason = None
    try:
        returned = function(job.prepared.plan)
    except Exception as error:
        reason = first_line(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        write_text(job.folder / LOG, traceback.format_exc())
    else:
        values = _values(returned, objectives, job.number)
        broken = [f"{name} is {value}" for name, value in values.items() if not isfinite(value)]
        if broken:
            reason, values = f"evaluate returned no finite number: {', '.join(broken)}", {}
            write_text(job.folder / LOG, f"{reason}\n")
    result = _result(job, values, time.perf_counter() - began, reason)
    write_text(job.folder / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")
    return AttemptEnd(job.number, result["state"], reason, result=None if reason else result)


def _values(returned: object, objectives: Sequence[str], number: int) -> dict[str, float]:
    """The objectives that `evaluate` has returned for trial `number`. Raises `ConfigError` if they cannot be used."""
    wanted = [name for name in objectives if name not in BY_ARITHMETIC]
    rule = f"must return a number ({wanted[0]}), or a mapping with {' and '.join(wanted)}"
    content = returned if isinstance(returned, Mapping) else {wanted[0]: returned}
    problems = []
    values: dict[str, float] = {}
    for name, value in content.items():
        if name not in DIRECTIONS:
            known = [*wanted, *(name for name in DIRECTIONS if name not in wanted)]
            problems.append(f"{name!r}, which is no objective{did_you_mean(str(name), known)}")
        elif isinstance(value, bool | str | bytes) or not isinstance(value, SupportsFloat):
            problems.append(f"{value!r:.60} for {name}")
        elif name not in BY_ARITHMETIC:
            values[str(name)] = _number(value)
    missing = [name for name in wanted if name not in content]
    problems += [f"no {name}" for name in missing]
    if problems:
        raise ConfigError([Problem("evaluate", f"got {'; '.join(problems)}, from trial {number}; {rule}")])
    return values


def _number(value: SupportsFloat) -> float:
    """`value` as a float; NaN if it is none, such as an array with several numbers."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return float("nan")


def _result(job: Job, values: Mapping[str, float], seconds: float, reason: str | None) -> dict[str, Any]:
    """The content of `result.json`. It has a row as after an epoch, although there was none."""
    plan, request = job.prepared.plan, job.prepared.request
    now = datetime.now(UTC)
    row = {"epoch": 0, **values}
    return {
        "name": request.name,
        "state": "FINISHED" if reason is None else "FAILED",
        "reason": reason,
        "started": now.isoformat(timespec="seconds"),
        "seed": job.prepared.settings.seed,
        "overrides": list(request.overrides),
        "params": plan.params,
        "macs": plan.macs,
        "receptive_field": plan.receptive_field,
        "epochs": 0,
        "epochs_trained": 0,
        "final": row if values else None,
        "seconds": seconds,
        "history": [row | {"seconds": seconds, "timestamp": int(now.timestamp() * 1000)}] if values else [],
    }


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's is ten times as fast
