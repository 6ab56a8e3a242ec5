"""The command line of a sweep, expanded: one list of overrides a variant."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from archsearch.compose.labels import describe, unquote
from archsearch.compose.overrides import complete_override
from archsearch.errors import ConfigError, Problem, did_you_mean

# Settings of where things lie and how the sweep itself is run: they are the same for all of its variants.
_NOT_SWEPT = ("sweep", "tracking", "ui", "resume", "data.root", "sweep_run")

SEED_IS_LUCK = (
    "the best of several seeds is luck, not a better architecture (of ten, it looks 0.1 points better than it is);"
    " seed=1,2,3 makes replicates, whose mean counts"
)


@dataclass(frozen=True)
class GridPoint:
    """One variant of a grid: its overrides, and the values of what varies, by the setting's name."""

    overrides: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def name(self) -> str:
        """`dropout=0.05 width=1.5`: what varies, short."""
        return describe(self.values)


def expand(
    overrides: Sequence[str], linked: Sequence[str | Sequence[str]] = (), loader: ConfigLoader | None = None
) -> list[GridPoint]:
    """All combinations of what `overrides` sweep over, the first setting changing slowest.

    The settings of each group in `linked` (`sweep.zip`) take their first values together, then their second ones.
    Of two overrides of the same setting, the later one counts. `loader` is needed for patterns such as
    `model=glob(session4*)`. Raises `ConfigError`.
    """
    problems: list[Problem] = []
    choices: dict[str, list[str]] = {}  # the alternatives of each setting, as overrides
    values: dict[str, list[str]] = {}  # of those that vary, what they vary over
    parser = OverridesParser.create(config_loader=loader)
    for text in map(complete_override, overrides):
        try:
            (override,) = parser.parse_overrides([text])  # unlike its singular, this passes the loader on
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
            rule = "sweeps over an interval; a grid needs single values: a,b,c, choice(...) or range(...)"
            problems.append(Problem(name, rule))
        elif _is_about(name, _NOT_SWEPT):
            problems.append(Problem(name, "is the same for all runs of a sweep; give it one value"))
        else:
            values[name] = list(override.sweep_string_iterator())
            choices[key] = [f"{key}={value}" for value in values[name]]
    groups = _groups(linked, values, problems)
    if problems:
        raise ConfigError(problems)
    return _combined(choices, values, groups)


def count_variants(points: Sequence[Mapping[str, str]]) -> int:
    """How many variants runs with these varying values are: runs that differ only in `seed` are one."""
    return len({tuple((key, value) for key, value in values.items() if key != "seed") for values in points})


def _is_about(name: str, sections: Sequence[str]) -> bool:
    return any(name == section or name.startswith(f"{section}.") for section in sections)


def _groups(
    linked: Sequence[str | Sequence[str]], values: Mapping[str, Sequence[str]], problems: list[Problem]
) -> list[tuple[str, ...]]:
    """`sweep.zip`, as groups of names that vary and have equally many values."""
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
            rule = (
                f"would give each value of {others} a seed of its own, so that luck and {others} cannot be told apart"
            )
            problems.append(
                Problem("sweep.zip", f"seed {rule}; leave it out, and every value is trained with every seed")
            )
        lengths = {name: len(values[name]) for name in group if name in values}
        if len(set(lengths.values())) > 1:
            counted = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            problems.append(Problem("sweep.zip", f"settings that move together need equally many values: {counted}"))
    return groups


def _combined(
    choices: Mapping[str, Sequence[str]], values: Mapping[str, Sequence[str]], groups: Sequence[tuple[str, ...]]
) -> list[GridPoint]:
    group_of = {name: group for group in groups for name in group}
    axes = list(dict.fromkeys(group_of.get(name, (name,)) for name in values))
    rows = []
    for positions in itertools.product(*(range(len(values[axis[0]])) for axis in axes)):
        at = {name: position for axis, position in zip(axes, positions, strict=True) for name in axis}
        overrides = tuple(overrides[at.get(key.lstrip("+"), 0)] for key, overrides in choices.items())
        rows.append(GridPoint(overrides, {name: unquote(values[name][at[name]]) for name in values}))
    varying = [name for name in values if len({row.values[name] for row in rows}) > 1]
    return [GridPoint(row.overrides, {name: row.values[name] for name in varying}) for row in rows]
