"""The trials of a search as their folders have them, and what the search had reached when each of them had ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archsearch.runs.result import read_result
from archsearch.search.hypervolume import hypervolume
from archsearch.search.loop import measured
from archsearch.search.objectives import DIRECTIONS, MEASURED, losses_of
from archsearch.search.pareto import fronts
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import RunOutcome, outcomes_of

_BEYOND = 1.1  # the reference of the hypervolume, where 0 is the best value of a trained trial and 1 the worst
_MOST_VOLUMES = 40  # computed for a curve
_MOST_SLICES = 20_000  # in all of them, of what `hypervolume` does with more than two objectives


@dataclass(frozen=True)
class Trial:
    """A trial: what became of it, and `values`, the objectives after its last epoch, which are empty without one.

    `history` has one row per epoch. A trial that a function evaluated has a single row, of no epoch.
    """

    outcome: RunOutcome
    name: str
    folder: Path  # which is not there if another process has trained it
    values: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    is_evaluated: bool  # by a function, in place of training

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.outcome.number

    @property
    def is_trained(self) -> bool:
        """Whether it has trained all epochs, or was evaluated."""
        return self.outcome.state == "FINISHED"


@dataclass(frozen=True)
class Moment:
    """What a search had spent and reached when a trial had trained all its epochs.

    `best` is the best value of the objective that is measured. `hypervolume` is the part of the box of losses that the
    front dominates, from the best value of each objective to 10 % beyond the worst; None where it was not computed.
    """

    trials: int  # begun
    epochs: int
    seconds: float  # of training, in all workers together
    timestamp: int  # milliseconds since 1970
    best: float
    hypervolume: float | None


def measured_objective(objectives: Sequence[str]) -> str:
    """The objective that is measured on held-out images: `val/accuracy` or `val/loss`."""
    return next(name for name in objectives if name in MEASURED)


def read_trials(record: SweepRecord, folder: Path) -> list[Trial]:
    """All trials of the search in `folder`, in the order of their numbers."""
    entries = {entry.number: entry for entry in record.entries}
    trials = []
    for outcome in sorted(outcomes_of(record, folder), key=lambda outcome: outcome.number):
        entry = entries[outcome.number]
        result = read_result(folder / entry.folder) or {}
        history = [row for row in result.get("history", ()) if set(row) & set(MEASURED)]
        values = measured(result, history[-1]) if history else {}
        trials.append(Trial(outcome, entry.name, folder / entry.folder, values, history, record.evaluated))
    return trials


def losses(trials: Sequence[Trial], objectives: Sequence[str]) -> NDArray[np.float64]:
    """The losses (trials, objectives) of trials that have values."""
    rows = [losses_of(objectives, [trial.values[name] for name in objectives]) for trial in trials]
    return np.array(rows, float).reshape(len(trials), len(objectives))


def front_of(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The fully trained trials that no other one dominates, the best in the first objective first."""
    trained = [trial for trial in trials if trial.is_trained and trial.values]
    if not trained:
        return []
    values = losses(trained, objectives)
    front = fronts(values)[0]
    return [trained[row] for row in front[np.argsort(values[front][:, 0], kind="stable")]]


def moments(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Moment]:
    """One for each fully trained trial, in the order in which they ended."""
    rows = sorted(_epoch_ends(trials))
    trained = {trial.number: trial for trial in trials if trial.is_trained and trial.values}
    name = measured_objective(objectives)
    best_of = max if DIRECTIONS[name] == "maximize" else min
    begun: set[int] = set()
    ended: list[tuple[int, int, float, int]] = []
    numbers: list[int] = []
    epochs, seconds = 0, 0.0
    for timestamp, number, epoch, duration, is_last in rows:
        begun.add(number)
        epochs, seconds = epochs + (epoch > 0), seconds + duration
        if is_last and number in trained:
            ended.append((len(begun), epochs, seconds, timestamp))
            numbers.append(number)
    volumes = _hypervolumes(losses([trained[number] for number in numbers], objectives))
    best: float | None = None
    result = []
    for row, number, volume in zip(ended, numbers, volumes, strict=True):
        value = trained[number].values[name]
        best = value if best is None else best_of(best, value)
        result.append(Moment(*row, best, volume))
    return result


def _epoch_ends(trials: Sequence[Trial]) -> list[tuple[int, int, int, float, bool]]:
    """When each epoch ended, its trial and number, its seconds, and whether it is the trial's last so far.

    Trials of older versions have no times; then trials are taken one after another.
    """
    has_times = all("timestamp" in row for trial in trials for row in trial.history)
    return [
        (
            int(row["timestamp"]) if has_times else trial.number, trial.number, int(row["epoch"]), row["seconds"],
            row is trial.history[-1],
        )
        for trial in trials
        for row in trial.history
    ]  # fmt: skip


def _hypervolumes(points: NDArray[np.float64]) -> list[float | None]:
    """The part of the box that the first 1, 2, ... rows dominate. Only some are computed; the last one always is."""
    count, objectives = points.shape
    if count == 0 or objectives == 1:
        return [None] * count
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    front = np.empty((0, objectives))
    changes: dict[int, NDArray[np.float64]] = {}  # the front after each row that changed it
    for row, point in enumerate(scaled):
        if not (front <= point).all(axis=1).any():
            front = np.vstack([front[~(point <= front).all(axis=1)], point])
            changes[row] = front
    slices = len(front) ** (objectives - 2)
    most = max(1, min(_MOST_VOLUMES, _MOST_SLICES // slices))
    chosen = set(list(changes)[:: -(-len(changes) // most)]) | {list(changes)[-1]}
    reference = np.full(objectives, _BEYOND)
    volumes: list[float | None] = [None] * count
    for row in sorted(chosen):
        volumes[row] = hypervolume(changes[row], reference) / _BEYOND**objectives
    volumes[-1] = volumes[max(chosen)]
    return volumes
