"""The values that one setting can have in a search. No Hydra, no Optuna."""

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from archsearch.search.candidate import Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_DIGITS = 4  # significant digits of a real number, in an override and in a table
_NEAR = 0.1  # standard deviation of a step, as a fraction of the range
_FEW = 10  # numbers of which any can follow any other; of more, those nearby
_TRIES = 20  # steps that can come out too small
_SAMPLED = 4  # neighbours of a value among many


@dataclass(frozen=True)
class Choice:
    """One of several values, each written as in an override."""

    values: tuple[str, ...]

    @property
    def size(self) -> int | None:
        """How many values there are."""
        return len(self.values)

    def listed(self) -> list[Value]:
        """All values."""
        return list(self.values)

    def drawn(self, random: Random) -> Value:
        """Any value."""
        return random.choice(self.values)

    def changed(self, value: Value, random: Random) -> Value:
        """Another value; the same one if there is no other."""
        others = [other for other in self.values if other != value]
        return random.choice(others) if others else value

    def neighbours(self, value: Value, random: Random) -> list[Value]:
        """All other values, in random order."""
        return random.sample(others := [other for other in self.values if other != value], len(others))

    def distribution(self) -> "BaseDistribution":
        """For Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def describe(self) -> str:
        """`8, 12, 16`."""
        return ", ".join(self.values)


@dataclass(frozen=True)
class Integers:
    """The whole numbers `low`, `low + step`, ... up to `high`."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def size(self) -> int | None:
        """How many numbers there are."""
        return (self.high - self.low) // self.step + 1

    def listed(self) -> list[Value]:
        """All numbers."""
        return list(range(self.low, self.high + 1, self.step))

    def drawn(self, random: Random) -> Value:
        """Any number; if `log`, each order of magnitude is as likely."""
        if self.log:
            return self._nearest(math.exp(random.uniform(math.log(self.low), math.log(self.high))))
        return random.randrange(self.low, self.high + 1, self.step)

    def changed(self, value: Value, random: Random) -> Value:
        """Another number: any of a few, one nearby of many; the same one if there is no other."""
        numbers = range(self.low, self.high + 1, self.step)
        if len(numbers) <= _FEW:
            others = [number for number in numbers if number != value]
            return random.choice(others) if others else value
        for _ in range(_TRIES):
            number = self._nearest(_step(float(value), self.low, self.high, self.log, random))
            if number != value:
                return number
        return int(value) + (self.step if int(value) < self._nearest(self.high) else -self.step)

    def neighbours(self, value: Value, random: Random) -> list[Value]:
        """All others of a few, in random order; some nearby of many."""
        if (self.size or 0) <= _FEW:
            others = [number for number in self.listed() if number != value]
            return random.sample(others, len(others))
        return list(dict.fromkeys(self.changed(value, random) for _ in range(_SAMPLED)))

    def distribution(self) -> "BaseDistribution":
        """For Optuna."""
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self._nearest(self.high), log=self.log, step=self.step)

    def describe(self) -> str:
        """`8 to 24 in steps of 4`."""
        steps = f" in steps of {self.step}" if self.step > 1 else ""
        return f"{self.low} to {self.high}{steps}{', logarithmic' if self.log else ''}"

    def _nearest(self, number: float) -> int:
        high = self.low + (self.high - self.low) // self.step * self.step
        return min(high, max(self.low, self.low + round((number - self.low) / self.step) * self.step))


@dataclass(frozen=True)
class Reals:
    """The numbers from `low` to `high`."""

    low: float
    high: float
    log: bool = False

    @property
    def size(self) -> int | None:
        """None: they cannot be counted."""
        return None

    def listed(self) -> list[Value]:
        """The two ends."""
        return [self.low, self.high]

    def drawn(self, random: Random) -> Value:
        """Any number; if `log`, each order of magnitude is as likely."""
        if self.log:
            return self._rounded(math.exp(random.uniform(math.log(self.low), math.log(self.high))))
        return self._rounded(random.uniform(self.low, self.high))

    def changed(self, value: Value, random: Random) -> Value:
        """A number nearby."""
        for _ in range(_TRIES):
            number = self._rounded(_step(float(value), self.low, self.high, self.log, random))
            if number != value:
                return number
        return self.low if value != self.low else self.high  # an interval of hardly any width

    def neighbours(self, value: Value, random: Random) -> list[Value]:
        """Some numbers nearby."""
        return [self.changed(value, random) for _ in range(_SAMPLED)]

    def distribution(self) -> "BaseDistribution":
        """For Optuna."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def describe(self) -> str:
        """`0 to 0.3, continuous`."""
        return f"{self.low:g} to {self.high:g}, continuous{', logarithmic' if self.log else ''}"

    def _rounded(self, number: float) -> float:
        return min(self.high, max(self.low, float(f"{number:.{_DIGITS}g}")))


Domain: TypeAlias = Choice | Integers | Reals


def as_written(value: Value) -> str:
    """`value` as in an override."""
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)


def _step(value: float, low: float, high: float, log: bool, random: Random) -> float:
    """A number near `value`, on the logarithmic scale if `log`."""
    if log:
        return math.exp(_step(math.log(value), math.log(low), math.log(high), False, random))
    return min(high, max(low, random.gauss(value, _NEAR * (high - low))))
