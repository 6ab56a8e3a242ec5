"""Expands the command line of a sweep into one list of overrides per run."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from archsearch.compose.labels import describe, unquote
from archsearch.compose.overrides import complete_override
from archsearch.errors import ConfigError, Problem, did_you_mean
from archsearch.runs.formatting import count
from archsearch.sweep.values import rounded, too_many, values_of

# Settings of the sweep itself and of where things lie, which all of its runs share.
_NOT_SWEPT = ("sweep", "search", "space", "tracking", "ui", "resume", "data.root", "sweep_run")

SEED_IS_LUCK = (
    "the best of several seeds is luck, not a better architecture (the best of ten looks 0.1 points better than it is);"
    " seed=1,2,3 trains replicates, whose mean counts"
)


@dataclass(frozen=True)
class GridPoint:
    """One run of a grid: its overrides, and the values of the settings that vary."""

    overrides: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def name(self) -> str:
        """The settings that vary, shortened: `dropout=0.05 width=1.5`."""
        return describe(self.values)


def expand(
    overrides: Sequence[str],
    linked: Sequence[str | Sequence[str]] = (),
    loader: ConfigLoader | None = None,
    max_runs: int | None = None,
) -> list[GridPoint]:
    """All combinations of the values that `overrides` sweep over; the first setting changes slowest.

    The settings of each group in `linked` (`sweep.zip`) vary together: they take their first values, then their second
    ones, and so on. A later override of the same setting replaces an earlier one. Patterns such as
    `model=glob(session4*)` need the `loader`. Raises `ConfigError`, also where there are more
    than `max_runs` combinations, which are counted before they are made.
    """
    problems: list[Problem] = []
    choices: dict[str, list[str]] = {}  # the overrides of each setting, one for each of its values
    values: dict[str, list[str]] = {}  # the values of each setting that varies
    parser = OverridesParser.create(config_loader=loader)
    for text in map(complete_override, overrides):
        try:
            (override,) = parser.parse_overrides([text])  # parse_override does not use the loader
        except HydraException as error:
            problems.append(Problem("command line", str(error)))
            continue
        key = override.get_key_element()
        name = key.lstrip("+")
        choices.pop(key, None)
        values.pop(name, None)
        if not override.is_sweep_override():
            choices[key] = [text]
        elif not override.is_discrete_sweep() and name == "seed":
            problems.append(Problem(name, f"cannot be searched: {SEED_IS_LUCK}"))
        elif not override.is_discrete_sweep():
            rule = "got an interval, must be single values in a grid: a,b,c, choice(...) or range(...)"
            problems.append(Problem(name, rule))
        elif _belongs_to(name, _NOT_SWEPT):
            problems.append(Problem(name, "cannot vary within a sweep; give it one value"))
        else:
            try:
                values[name] = values_of(override, max_runs)
            except (ValueError, HydraException) as error:
                problems.append(Problem(name, f"got {text.partition('=')[2]}, which {error}"))
                continue
            choices[key] = [f"{key}={value}" for value in values[name]]
    groups = _groups(linked, values, problems)
    if problems:
        raise ConfigError(problems)
    axes = _axes(values, groups)
    _check_count([len(values[axis[0]]) for axis in axes], max_runs)
    return _combined(choices, values, axes)


def as_begun(points: Sequence[GridPoint], begun: Sequence[Mapping[str, str]]) -> list[GridPoint]:
    """`points` with the values of a sweep that has begun, where an earlier version wrote 0.03 as 0.030000000000000002.

    `begun` are the values of its runs. Without this, these runs would be other runs than those that are trained.
    """
    spellings = {
        (name, rounded(value)): value for values in begun for name, value in values.items() if rounded(value) != value
    }
    if not spellings:
        return list(points)

    def as_then(point: GridPoint) -> GridPoint:
        values = {name: spellings.get((name, value), value) for name, value in point.values.items()}
        changed = {name: value for name, value in values.items() if value != point.values[name]}
        overrides = [
            f"{key}={changed.get(key.lstrip('+'), value)}" if equals else key
            for key, equals, value in (override.partition("=") for override in point.overrides)
        ]
        return GridPoint(tuple(overrides), values)

    return [as_then(point) for point in points]


def count_runs(runs: Sequence[Mapping[str, str]]) -> str:
    """`9 runs of 3 variants`, for runs with these values: runs that differ only in `seed` are one variant."""
    variants = {tuple((key, value) for key, value in values.items() if key != "seed") for values in runs}
    return f"{count(len(runs), 'run')} of {count(len(variants), 'variant')}"


def _belongs_to(name: str, sections: Sequence[str]) -> bool:
    return any(name == section or name.startswith(f"{section}.") for section in sections)


def _groups(
    linked: Sequence[str | Sequence[str]], values: Mapping[str, Sequence[str]], problems: list[Problem]
) -> list[tuple[str, ...]]:
    """`sweep.zip` as groups of settings, each of which must vary and have as many values as the others."""
    plain = [name for name in linked if isinstance(name, str)]
    groups = [tuple(plain)] if plain else []
    groups += [tuple(group) for group in linked if not isinstance(group, str)]
    names = [name for group in groups for name in group]
    for name in dict.fromkeys(names):
        if name not in values:
            problems.append(Problem("sweep.zip", f"{name} is not swept over{did_you_mean(name, values)}"))
        elif names.count(name) > 1:
            problems.append(Problem("sweep.zip", f"{name} is named twice"))
    for group in groups:
        if "seed" in group and len(group) > 1:
            others = " and ".join(name for name in group if name != "seed")
            rule = f"seed would be confounded with {others}: each value of {others} would have a seed of its own"
            problems.append(Problem("sweep.zip", f"{rule}; leave seed out to train every value with every seed"))
        lengths = {name: len(values[name]) for name in group if name in values}
        if len(set(lengths.values())) > 1:
            counted = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            problems.append(Problem("sweep.zip", f"settings that vary together need equally many values: {counted}"))
    return groups


def _axes(values: Mapping[str, Sequence[str]], groups: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The settings that vary, those that vary together as one."""
    group_of = {name: group for group in groups for name in group}
    return list(dict.fromkeys(group_of.get(name, (name,)) for name in values))


def _check_count(lengths: Sequence[int], max_runs: int | None) -> None:
    runs = math.prod(lengths)
    if max_runs is not None and runs > max_runs:
        product = " x ".join(f"{length:,}" for length in lengths)
        rule = f"got {product} = {runs:,} runs, must be at most {max_runs:,}" if len(lengths) > 1 else ""
        rule = rule or f"got {runs:,} runs, must be at most {max_runs:,}"
        raise ConfigError([Problem("sweep.max_runs", f"{rule}; {too_many(runs)}")])


def _combined(
    choices: Mapping[str, Sequence[str]], values: Mapping[str, Sequence[str]], axes: Sequence[tuple[str, ...]]
) -> list[GridPoint]:
    points = []
    for positions in itertools.product(*(range(len(values[axis[0]])) for axis in axes)):
        position_of = {name: position for axis, position in zip(axes, positions, strict=True) for name in axis}
        overrides = tuple(options[position_of.get(key.lstrip("+"), 0)] for key, options in choices.items())
        points.append(GridPoint(overrides, {name: unquote(values[name][position_of[name]]) for name in values}))
    varying = [name for name in values if len({point.values[name] for point in points}) > 1]
    return [GridPoint(point.overrides, {name: point.values[name] for name in varying}) for point in points]
