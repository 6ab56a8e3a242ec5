"""Everything that a search can propose: settings with their values, architectures, or both."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from archsearch.compose.labels import unquote
from archsearch.errors import ConfigError, Problem
from archsearch.search.architectures import Architectures
from archsearch.search.candidate import Candidate, Value
from archsearch.search.domains import Reals, as_written
from archsearch.search.grammar import Setting

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_NEIGHBOURS = 24  # mutations that stand for the neighbourhood of an architecture


@dataclass(frozen=True)
class Space:
    """`settings` that vary, `architectures` if blocks vary, and the overrides that all trials share."""

    settings: tuple[Setting, ...]
    fixed: tuple[str, ...] = ()
    architectures: Architectures | None = None

    def __post_init__(self) -> None:
        """Raises `ConfigError` if nothing varies, or something varies twice."""
        if not self.settings and self.architectures is None:
            example = "model.dropout='interval(0,0.3)', or search.space=blocks"
            rule = f"is empty; give a setting several values, such as {example}"
            raise ConfigError([Problem("space", rule)])
        if self.architectures is not None:
            sections = ("model.blocks.", "model.head", "model=")
            rule = "varies with search.space=blocks already; leave its values out"
            twice = [setting for setting in self.settings if f"{setting.name}=".startswith(sections)]
            if twice:
                raise ConfigError([Problem(setting.name, rule) for setting in twice])

    @property
    def size(self) -> int | None:
        """The number of combinations; None if they cannot be counted."""
        sizes = [setting.domain.size for setting in self.settings]
        if self.architectures is not None or None in sizes:
            return None
        return math.prod(size for size in sizes if size is not None)

    def start(self, random: Random) -> Candidate | None:
        """The model with which architectures begin, with any values of the settings; None if blocks do not vary."""
        if self.architectures is None:
            return None
        return Candidate(self._drawn_params(random), self.architectures.start, change="start")

    def drawn(self, random: Random) -> Candidate:
        """Any candidate."""
        params = self._drawn_params(random)
        return Candidate(params, None if self.architectures is None else self.architectures.drawn(random))

    def mutated(self, candidate: Candidate, random: Random) -> Candidate | None:
        """A candidate with one change: of a setting, or of the architecture. None if there is none."""
        if self.architectures is not None and candidate.model is not None and (
            not self.settings or random.random() < 0.5
        ):  # fmt: skip
            mutated = self.architectures.mutated(candidate.model, random)
            if mutated is not None:
                return Candidate(candidate.params, mutated[0], change=mutated[1])
        varying = [setting for setting in self.settings if setting.domain.size != 1]
        if not varying:
            return None
        setting = random.choice(varying)
        return self._with(candidate, setting, setting.domain.changed(candidate.params[setting.name], random))

    def neighbours(self, candidate: Candidate, random: Random) -> Iterator[Candidate]:
        """All candidates that differ in one setting, in random order; of uncountable ones, some."""
        changes = [
            (setting, value)
            for setting in self.settings
            for value in setting.domain.neighbours(candidate.params[setting.name], random)
        ]
        for setting, value in random.sample(changes, len(changes)):
            yield self._with(candidate, setting, value)
        if self.architectures is not None and candidate.model is not None:
            for _ in range(_NEIGHBOURS):
                mutated = self.architectures.mutated(candidate.model, random)
                if mutated is not None:
                    yield Candidate(candidate.params, mutated[0], change=mutated[1])

    def all(self) -> Iterator[Candidate]:
        """All candidates of a space that can be counted, in the order of a grid."""
        names = [setting.name for setting in self.settings]
        for values in itertools.product(*(setting.domain.listed() for setting in self.settings)):
            yield Candidate(dict(zip(names, values, strict=True)))

    def overrides(self, candidate: Candidate) -> tuple[str, ...]:
        """The overrides of a candidate's trial, without its model."""
        return (*self.fixed, *(setting.override(candidate.params[setting.name]) for setting in self.settings))

    def shown(self, candidate: Candidate) -> dict[str, str]:
        """The values of a candidate's settings, as a table shows them."""
        return {setting.name: unquote(as_written(candidate.params[setting.name])) for setting in self.settings}

    def distributions(self) -> "dict[str, BaseDistribution]":
        """The settings for Optuna."""
        return {setting.name: setting.domain.distribution() for setting in self.settings}

    def describe(self) -> str:
        """The space in lines: `space: 4 settings, 1,152 networks`, then each setting."""
        counted = f"{len(self.settings)} setting{'' if len(self.settings) == 1 else 's'}"
        continuous = [setting for setting in self.settings if isinstance(setting.domain, Reals)]
        if self.architectures is not None:
            title = "whole architectures" + (f" and {counted}" if self.settings else "")
        elif continuous:
            others = math.prod(setting.domain.size or 1 for setting in self.settings)
            title = f"{counted}, {len(continuous)} continuous"
            title += f"; {others:,} combinations of the others" if others > 1 else ""
        else:
            title = f"{counted}, {self.size:,} network{'' if self.size == 1 else 's'}"
        rows = [(f"  {setting.name}", setting.domain.describe()) for setting in self.settings]
        lines = [f"space: {title}"]
        if rows:
            width = max(len(name) for name, _ in rows)
            lines += [f"{name:<{width}}  {values}" for name, values in rows]
        if self.architectures is not None:
            lines.append(f"  {self.architectures.describe()}")
        return "\n".join(lines)

    def _drawn_params(self, random: Random) -> dict[str, Value]:
        return {setting.name: setting.domain.drawn(random) for setting in self.settings}

    def _with(self, candidate: Candidate, setting: Setting, value: Value) -> Candidate:
        before = as_written(candidate.params[setting.name])
        params = {**candidate.params, setting.name: value}
        return Candidate(params, candidate.model, change=f"{setting.name} {before} -> {as_written(value)}")


def check_grid(space: Space) -> list[Problem]:
    """What of `space` a grid cannot list."""
    rule = (
        "got an interval, which a grid cannot list; give single values, or int(interval(...)), or use another sampler"
    )
    return [Problem(setting.name, rule) for setting in space.settings if not isinstance(setting.domain.size, int)]
