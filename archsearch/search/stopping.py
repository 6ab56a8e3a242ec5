"""Which trials train on: asynchronous successive halving, the median rule, or all of them.

Trials train in steps, to the next of a few numbers of epochs (rungs), and stop there. `record` takes what they reached,
`next_step` names a stopped trial that trains on. No trial ever waits for others that are still training. Everything
follows from the records, so that a search that is resumed decides as before.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from archsearch.search.pareto import best_first


class Step(NamedTuple):
    """Trial number `trial` trains on, to the end of epoch `until`."""

    trial: int
    until: int


@dataclass(frozen=True)
class Standing:
    """What a trial has reached: accuracy in percent, and what shall be small (parameters, for example)."""

    accuracy: float
    costs: tuple[float, ...] = ()


class Stopping(Protocol):
    """A rule by which trials stop early."""

    @property
    def rungs(self) -> Sequence[int]:
        """The numbers of epochs after which trials stop, ascending; a new trial trains to the first."""

    def record(self, trial: int, epoch: int, standing: Standing) -> None:
        """`trial` has stopped after `epoch` epochs."""

    def settle(self, trial: int) -> None:
        """An earlier session has stopped `trial` where it is, after what `record` has been told of it."""

    def forget(self, trial: int) -> None:
        """`trial` cannot train on: its place is another one's."""

    def next_step(self, *, is_last: bool = False) -> Step | None:
        """A stopped trial that trains on, if any; each step is named once. `is_last` if no trials will be added."""


@dataclass
class NoStopping:
    """All trials train all epochs, which are the only rung."""

    rungs: Sequence[int]

    def forget(self, trial: int) -> None:
        """Nothing depends on it."""

    def record(self, trial: int, epoch: int, standing: Standing) -> None:
        """Nothing depends on it."""

    def settle(self, trial: int) -> None:
        """Nothing depends on it."""

    def next_step(self, *, is_last: bool = False) -> Step | None:  # noqa: ARG002 # the protocol's signature
        """No trial trains on."""
        return None


@dataclass
class Halving:
    """Asynchronous successive halving (Li et al., arXiv:1810.05934): of each rung, one in `reduction` trains on.

    With costs, the best of a rung are the first fronts of accuracy and costs, as in MO-ASHA (Schmucker et al.,
    arXiv:2106.12639), the most isolated first within a front. `rungs` are numbers of epochs, the last one all epochs.
    """

    rungs: Sequence[int]
    reduction: int
    _standings: dict[int, dict[int, Standing]] = field(default_factory=dict)  # by rung and trial
    _going_on: dict[int, set[int]] = field(default_factory=dict)  # trials that were named, by the rung that they leave
    _orders: dict[int, list[int]] = field(default_factory=dict)  # the trials of each rung's share, the best first

    def record(self, trial: int, epoch: int, standing: Standing) -> None:
        """`trial` has stopped after `epoch` epochs. It has been on all rungs below, and has left them."""
        self._standings.setdefault(epoch, {})[trial] = standing
        self._orders.pop(epoch, None)
        for rung in self.rungs:
            if rung < epoch:
                self._going_on.setdefault(rung, set()).add(trial)

    def settle(self, trial: int) -> None:
        """It may train on all the same, once its share has grown."""

    def forget(self, trial: int) -> None:
        """It leaves all rungs."""
        for rung, standings in self._standings.items():
            if standings.pop(trial, None) is not None:
                self._orders.pop(rung, None)
                self._going_on.get(rung, set()).discard(trial)

    def next_step(self, *, is_last: bool = False) -> Step | None:
        """The best trial of the highest rung that has not named its share; if `is_last`, the share is rounded up."""
        for rung, above in reversed(list(zip(self.rungs, self.rungs[1:], strict=False))):
            standings, going_on = self._standings.get(rung, {}), self._going_on.setdefault(rung, set())
            share = -(-len(standings) // self.reduction) if is_last else len(standings) // self.reduction
            if rung not in self._orders:
                self._orders[rung] = _best_first(standings, -(-len(standings) // self.reduction))
            for trial in self._orders[rung][:share]:
                if trial not in going_on:
                    going_on.add(trial)
                    return Step(trial, above)
        return None


@dataclass
class MedianStopping:
    """The median rule (Golovin et al., "Google Vizier", 2017): trials below the median of their epoch stop.

    A trial's best accuracy so far is compared with the other trials' mean accuracies up to the same epoch, which is one
    of `rungs`. Trials train on while fewer than `least` others can be compared. Costs play no part.
    """

    rungs: Sequence[int]
    least: int = 5
    _accuracies: dict[int, dict[int, float]] = field(default_factory=dict)  # by trial and epoch
    _decided: set[tuple[int, int]] = field(default_factory=set)
    _waiting: list[Step] = field(default_factory=list)

    def record(self, trial: int, epoch: int, standing: Standing) -> None:
        """`trial` has stopped after `epoch` epochs."""
        curve = self._accuracies.setdefault(trial, {})
        curve[epoch] = standing.accuracy
        self._waiting = [step for step in self._waiting if step.trial != trial or step.until > epoch]
        if epoch >= self.rungs[-1] or (trial, epoch) in self._decided:
            return
        self._decided.add((trial, epoch))
        others = [
            statistics.fmean(value for at, value in other.items() if at <= epoch)
            for number, other in self._accuracies.items()
            if number != trial and epoch in other
        ]
        if len(others) < self.least or max(curve.values()) >= statistics.median(others):
            self._waiting.append(Step(trial, next(rung for rung in self.rungs if rung > epoch)))

    def settle(self, trial: int) -> None:
        """It stays where it is: it was compared with those of that time, which the records do not tell."""
        self._waiting = [step for step in self._waiting if step.trial != trial]

    def forget(self, trial: int) -> None:
        """It waits no longer; others are compared with what it has reached."""
        self.settle(trial)

    def next_step(self, *, is_last: bool = False) -> Step | None:  # noqa: ARG002 # the protocol's signature
        """The trial that has waited longest."""
        return self._waiting.pop(0) if self._waiting else None


def _best_first(standings: Mapping[int, Standing], most: int) -> list[int]:
    if not standings:
        return []
    losses = np.array([(-standing.accuracy, *standing.costs) for standing in standings.values()])
    trials = list(standings)
    return [trials[row] for row in best_first(losses, most)]


def rungs_of(first: int, epochs: int, reduction: int) -> tuple[int, ...]:
    """The rungs from `first` to `epochs`, each `reduction` times the one before; (1, 3, 8) for 1, 8, 3."""
    rungs = [min(first, epochs)]
    while rungs[-1] * reduction <= epochs:
        rungs.append(rungs[-1] * reduction)
    # A last step of less than one and a half rungs is joined with the one before.
    if len(rungs) > 1 and epochs < rungs[-1] * 1.5:
        rungs.pop()
    return (*rungs, epochs) if rungs[-1] < epochs else tuple(rungs)
