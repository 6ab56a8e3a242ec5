"""What `python -m archsearch.report` was asked for: its own settings, and overrides of the configuration."""

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

# Of the configuration itself: where the store and the data lie.
_PASSED_ON = ("tracking.uri", "data.root")
_LISTS = ("sweep", "run", "experiment", "compare")

HELP = """archsearch.report: which variant is better, and which only luckier

  python -m archsearch.report                          the last sweep
  python -m archsearch.report sweep=NAME,last          sweeps: by folder, by name, or `last`
  python -m archsearch.report run=ID,ID                runs: by folder, id, or `last`
  python -m archsearch.report experiment=NAME          all runs of an MLflow experiment
  python -m archsearch.report filter="params.model = 'session4'"   what MLflow's search lets pass

  compare=A,B     two variants, block by block and image by image (default: the leader and the baseline or the next)
  baseline=A      test every variant against this one, rather than all against all
  cost=params     what accuracy is traded against: params, macs or epoch_seconds
  html=PATH       where the page goes (default: report.html in the sweep's folder, else outputs/reports/)
  tracking.uri=   the MLflow store (default: MLFLOW_TRACKING_URI, else outputs/mlflow.db)
  data.root=      the folder of the data sets, for the images (default: ARCHSEARCH_DATA, else data)

A variant is named by its row in the leaderboard (#2), by its label or a part of it that no other has
(gap, head.type=gap, dropout=0.05 width=1.5), or by the id of one of its runs.
"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Options:
    """Which runs, and what about them."""

    sweep: Names = ()
    run: Names = ()
    experiment: Names = ()
    filter: str | None = None
    compare: Names = ()
    baseline: str | None = None
    cost: Cost = "params"
    html: str | None = None


def parse_options(words: Sequence[str]) -> tuple[Options, list[str]]:
    """The report's own settings in a command line, and what else it says. Raises `ConfigError`."""
    problems: list[Problem] = []
    values: dict[str, object] = {}
    rest: list[str] = []
    own = names_of(Options)
    flag = ""
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("-") or flag == "--config-dir":
            rest.append(word)
        elif not equals:
            problems.append(
                Problem(word, f"is no setting=value{did_you_mean(word, own)}; --help shows what can be said")
            )
        elif name in own:
            values[name] = _names(value) if name in _LISTS else unquote(value)
            if values[name] in ("", ()):
                problems.append(Problem(name, "names nothing"))
        elif name.lstrip("+") in _PASSED_ON:
            rest.append(word)
        else:
            problems.append(Problem(name, f"unknown setting{did_you_mean(name, [*own, *_PASSED_ON])}"))
        flag = word
    compared = values.get("compare", ())
    if isinstance(compared, tuple) and len(compared) == 1:
        problems.append(Problem("compare", f"got {compared[0]!r} only, must be two: compare=A,B"))
    elif isinstance(compared, tuple) and len(compared) > 2:
        problems.append(Problem("compare", f"got {len(compared)} names, must be two: compare=A,B"))
    options, found = read(Options, values, "")
    if problems or found or options is None:
        raise ConfigError([*problems, *found])
    return options, rest


def _names(value: str) -> tuple[str, ...]:
    """`a,b`, `[a,b]`, `'a b',c`: names, separated by commas, taken literally."""
    inside = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return tuple(unquote(name.strip()) for name in re.findall(r"'[^']*'|\"[^\"]*\"|[^,]+", inside) if name.strip())
