"""The results of a sweep: what became of each run, and the statistics of each variant over its seeds. No torch."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archsearch.runs.result import read_result
from archsearch.sweep.record import Entry, SweepRecord

COLUMNS = ("params", "macs", "val_best", "val_final", "test", "seconds", "epochs", "state", "reason", "run_id")
STATISTICS = ("val_best", "val_final", "test", "seconds")  # the columns that have a mean over seeds


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run; accuracies in percent, on the validation images (`val`) and on the test set."""

    number: int
    values: Mapping[str, str]  # of the settings that vary
    params: int | None
    macs: int | None
    val_best: float | None
    val_final: float | None
    test: float | None
    seconds: float | None  # of training
    epochs: int  # trained
    state: str  # FINISHED, FAILED, KILLED, OVER_BUDGET, INVALID, DUPLICATE or MISSING
    reason: str | None
    run_id: str | None
    recorded: bool = True  # completely, by the tracking store

    @property
    def is_unfinished(self) -> bool:
        """Whether resuming the sweep would train it."""
        return self.state in ("FAILED", "KILLED", "MISSING")

    @property
    def columns(self) -> dict[str, int | float | str | None]:
        """What tables show of it, by the names of their columns."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def selecting(self) -> float | None:
        """The accuracy that runs are compared on: final validation, or test if no images are held out."""
        return self.val_final if self.val_final is not None else self.test


@dataclass(frozen=True)
class VariantOutcome:
    """A variant: the outcomes of runs that differ only in their seed."""

    values: Mapping[str, str]  # without the seed
    outcomes: Sequence[RunOutcome]

    def values_of(self, name: str) -> list[float]:
        """The attribute `name` of the finished outcomes that have it."""
        values = [getattr(outcome, name) for outcome in self.outcomes if outcome.state == "FINISHED"]
        return [value for value in values if value is not None]

    def statistic(self, name: str) -> tuple[float, float | None, int] | None:
        """Mean, standard deviation (of two or more) and number of the finished outcomes' `name`."""
        values = self.values_of(name)
        if not values:
            return None
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values)


def outcomes_of(record: SweepRecord, folder: Path) -> list[RunOutcome]:
    """The outcome of each run of the sweep in `folder`: the finished ones first, the best on top."""
    outcomes = [_outcome(entry, record.keys, folder) for entry in record.entries]
    by_number = {outcome.number: outcome for outcome in outcomes}
    for position, entry in enumerate(record.entries):
        if entry.same_as is not None:  # a duplicate has the numbers of the run that it equals
            original = by_number[entry.same_as]
            numbers = {name: getattr(original, name) for name in STATISTICS}
            outcomes[position] = replace(outcomes[position], **numbers)
    return sorted(
        outcomes, key=lambda outcome: (outcome.state != "FINISHED", -(outcome.selecting or 0.0), outcome.number)
    )


def outcomes_by_variant(outcomes: Sequence[RunOutcome]) -> list[VariantOutcome]:
    """Outcomes grouped by their values without the seed, the best variant first."""
    groups: dict[tuple[str, ...], list[RunOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(tuple(_without_seed(outcome.values).values()), []).append(outcome)
    variants = [VariantOutcome(_without_seed(group[0].values), group) for group in groups.values()]
    return sorted(variants, key=lambda variant: -(variant.statistic("selecting") or (0.0,))[0])


def _without_seed(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key != "seed"}


def _outcome(entry: Entry, keys: Sequence[str], folder: Path) -> RunOutcome:
    result = read_result(folder / entry.folder)
    finished = result is not None and result["state"] == "FINISHED"
    state: str
    state, reason = "MISSING" if entry.state == "READY" else entry.state, entry.reason
    if finished:  # even if it would be over budget now, for example
        state, reason = "FINISHED", None
    elif entry.state == "READY" and entry.failed:
        state = "FAILED"
        reason = (result or {}).get("reason") if reason is None else reason
    elif entry.state == "READY" and result is not None:
        state, reason = result["state"], result["reason"]
        if state == "RUNNING":
            state, reason = "KILLED", "its process died"
    best, final = (result or {}).get("best") or {}, (result or {}).get("final") or {}
    return RunOutcome(
        number=entry.number,
        values={key: entry.values.get(key, "-") for key in keys},
        params=entry.params,
        macs=entry.macs,
        val_best=best.get("val/accuracy"),
        val_final=final.get("val/accuracy"),
        test=final.get("test/accuracy"),
        seconds=result["seconds"] if result else None,
        epochs=result["epochs_trained"] if result else 0,
        state=state,
        reason=reason,
        run_id=result["run_id"] if result else None,
        recorded=result["tracking"].get("complete", True) if result else True,
    )
