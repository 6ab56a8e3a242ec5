"""The command line of `python -m archsearch.report`: its own settings, and overrides of the configuration."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.compose.labels import unquote
from archsearch.config.schema import STRICT, names_of, read
from archsearch.errors import ConfigError, Problem, did_you_mean

Cost = Literal["params", "macs", "epoch_seconds"]
Names = Annotated[tuple[str, ...], Field(strict=False)]

# Overrides of the configuration: the locations of the store and of the data.
OVERRIDES = ("tracking.uri", "data.root")
FLAGS = ("--config-dir", "-cd")  # Hydra's, for a configuration of one's own
_LISTS = ("sweep", "run", "experiment", "compare")

HELP = """archsearch.report: rank and compare trained variants, with significance tests

Select runs (default: the last sweep):
  archsearch report sweep=NAME,last      sweeps, by folder, name or `last`
  archsearch report run=ID,ID            runs, by folder, id or `last`
  archsearch report experiment=NAME      all runs of an MLflow experiment
  archsearch report filter="params.model = 'session4'"
                                         runs that match an MLflow search filter

Options:
  compare=A,B     compare two variants block by block and image by image
                  (default: the leader with the baseline or the runner-up)
  baseline=A      test every variant against this one instead of all pairs
  cost=params     the cost to weigh accuracy against: params, macs or
                  epoch_seconds
  html=PATH       the HTML page (default: report.html in the sweep's folder,
                  else in outputs/reports/)
  tracking.uri=   the MLflow store (default: MLFLOW_TRACKING_URI, else
                  outputs/mlflow.db)
  data.root=      the folder of the data sets, for test images (default:
                  ARCHSEARCH_DATA, else data)

Name a variant by its row in the leaderboard (#2), its label, a unique part of
its label (gap, head.type=gap, dropout=0.05 width=1.5), or the id of one of its
runs. `python -m archsearch.report` does the same.
"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Options:
    """The report's own settings: which runs to select, and what to show."""

    sweep: Names = ()
    run: Names = ()
    experiment: Names = ()
    filter: str | None = None
    compare: Names = ()
    baseline: str | None = None
    cost: Cost = "params"
    html: str | None = None


def parse_options(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Split a command line into the report's own settings and the remaining overrides. Raises `ConfigError`."""
    problems: list[Problem] = []
    values: dict[str, object] = {}
    overrides: list[str] = []
    settings = names_of(Options)
    previous = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if previous in FLAGS or argument.partition("=")[0] in FLAGS:
            overrides.append(argument)
        elif argument.startswith("-"):
            problems.append(Problem(argument, f"unknown flag{did_you_mean(argument, ['--help', *FLAGS])}; see --help"))
        elif not equals:
            problems.append(
                Problem(argument, f"must have the form setting=value{did_you_mean(argument, settings)}; see --help")
            )
        elif name in settings:
            values[name] = _names(value) if name in _LISTS else unquote(value)
            if values[name] in ("", ()):
                problems.append(Problem(name, "must not be empty"))
        elif name.lstrip("+") in OVERRIDES:
            overrides.append(argument)
        else:
            problems.append(Problem(name, f"unknown setting{did_you_mean(name, [*settings, *OVERRIDES])}"))
        previous = argument
    if previous in FLAGS:
        problems.append(Problem(previous, "must be followed by a folder"))
    compared = values.get("compare", ())
    if isinstance(compared, tuple) and len(compared) == 1:
        problems.append(Problem("compare", f"got {compared[0]!r}, must be two variants: compare=A,B"))
    elif isinstance(compared, tuple) and len(compared) > 2:
        problems.append(Problem("compare", f"got {len(compared)} variants, must be two: compare=A,B"))
    options, invalid = read(Options, values, "")
    if problems or invalid or options is None:
        raise ConfigError([*problems, *invalid])
    return options, overrides


def _names(value: str) -> tuple[str, ...]:
    """Comma-separated names, optionally quoted or in brackets: `a,b`, `[a,b]`, `'a b',c`."""
    content = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return tuple(unquote(name.strip()) for name in re.findall(r"'[^']*'|\"[^\"]*\"|[^,]+", content) if name.strip())
