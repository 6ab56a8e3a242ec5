"""Reads settings with their values from Hydra's grammar: `interval(0,0.3)`, `choice(8,12)`, `linear,gap`, `range(1,5)`.

The only module of the room that imports Hydra.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from archsearch.compose.overrides import complete_override
from archsearch.errors import ConfigError, Problem
from archsearch.search.candidate import Value
from archsearch.search.domains import Choice, Domain, Integers, Reals, as_written
from archsearch.sweep.grid import SEED_IS_LUCK
from archsearch.sweep.values import values_of

# The search itself, where things lie, and what makes trials comparable.
_FIXED = (
    "search", "space", "sweep", "sweep_run", "tracking", "ui", "resume", "overwrite", "data", "constraints",
    "experiment", "trainer.epochs", "trainer.test_every_epoch", "trainer.device",
)  # fmt: skip
_MOST_VALUES = 10_000


@dataclass(frozen=True)
class Setting:
    """A setting that varies, by its name, and its values. `key` is what an override has before the `=`."""

    name: str
    key: str
    domain: Domain

    def override(self, value: Value) -> str:
        """The override that sets it to `value`."""
        return f"{self.key}={as_written(value)}"


def read_settings(
    words: Sequence[str], in_file: Mapping[str, str] | None = None, loader: ConfigLoader | None = None
) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    """The settings that vary, and the overrides that all trials share.

    `in_file` are the settings of a space's file; a word of the command line replaces the same setting. Patterns such as
    `model=glob(session4*)` need the `loader`. Raises `ConfigError` with all problems.
    """
    problems: list[Problem] = []
    settings: dict[str, Setting] = {}
    fixed: dict[str, str] = {}
    parser = OverridesParser.create(config_loader=loader)
    from_file = [f"{name}={values}" for name, values in (in_file or {}).items()]
    for position, text in enumerate(map(complete_override, [*from_file, *words])):
        try:
            (override,) = parser.parse_overrides([text])
        except HydraException as error:
            place = "command line" if position >= len(from_file) else f"space.settings.{text.partition('=')[0]}"
            problems.append(Problem(place.replace("++", ""), str(error)))
            continue
        key = override.get_key_element()
        name = key.lstrip("+")
        settings.pop(name, None)
        fixed.pop(name, None)
        if not override.is_sweep_override():
            if position < len(from_file):
                rule = f"got {text.partition('=')[2]}, must have several values: choice(...), range(...), interval(...)"
                problems.append(Problem(f"space.settings.{name}", rule))
            fixed[name] = text
        elif name == "seed":
            problems.append(Problem(name, f"cannot be searched: {SEED_IS_LUCK}"))
        elif any(name == section or name.startswith(f"{section}.") for section in _FIXED):
            problems.append(Problem(name, "cannot vary within a search; give it one value"))
        else:
            try:
                settings[name] = Setting(name, key, _domain(override))
            except (ValueError, HydraException) as error:
                problems.append(Problem(name, f"got {text.partition('=')[2]}, which {error}"))
    if problems:
        raise ConfigError(problems)
    return tuple(settings.values()), tuple(fixed.values())


def _domain(override: Override) -> Domain:
    """The values of an override. Raises `ValueError` with a rule."""
    values: object = override.value()
    tags: set[str] = getattr(values, "tags", set())
    if unknown := sorted(tags - {"log"}):
        raise ValueError(f"has the tag {unknown[0]}, must be log")
    log = "log" in tags
    if log and not isinstance(values, IntervalSweep):
        raise ValueError("has the tag log, which is for intervals: tag(log, interval(0.01, 0.3))")
    if isinstance(values, IntervalSweep):
        low, high = values.start, values.end
        if low is None or high is None or not low < high:
            raise ValueError("must begin with its smaller end, and end with its larger one")
        if log and low <= 0:
            raise ValueError("has a logarithmic scale, so it must begin above 0")
        if not (abs(low) < 1e30 and abs(high) < 1e30):
            raise ValueError("must have finite ends")
        if isinstance(low, int) and isinstance(high, int):
            return Integers(low, high, log=log)
        return Reals(float(low), float(high), log=log)
    listed = list(dict.fromkeys(values_of(override, _MOST_VALUES)))
    if isinstance(values, RangeSweep) and all(
        isinstance(number, int) for number in (values.start, values.stop, values.step)
    ):
        numbers = sorted(map(int, listed))
        return Integers(numbers[0], numbers[-1], abs(int(values.step)))
    return Choice(tuple(listed))
