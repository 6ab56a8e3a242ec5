"""What a free worker trains next: a trial that goes on, or a new one. No worker ever waits for others.

The study holds what was proposed and told, the folders of the trials hold what they have reached. A search that was
killed therefore goes on from both: trials that were training are trained on first.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.runs.result import read_result
from archsearch.search.hypervolume import covering
from archsearch.search.objectives import DIRECTIONS, MEASURED, losses_of
from archsearch.search.pareto import fronts
from archsearch.search.proposals import Proposal, Proposer
from archsearch.search.spending import Spending
from archsearch.search.stopping import Standing, Step, Stopping
from archsearch.sweep.worker import AttemptEnd, Job, Team


@dataclass
class SearchLoop:
    """Proposes trials, lets the best go on, and tells the study what became of them.

    `make_job` prepares a proposal for a worker, up to an epoch; `on_begun` is called for each new trial before that.
    """

    proposer: Proposer
    stopping: Stopping
    epochs: int
    spending: Spending
    folder_of: Callable[[int], Path]
    make_job: Callable[[Proposal, int], Job]
    on_begun: Callable[[Proposal], object]
    exhausted: bool = False  # no other network is left in the space
    _proposals: dict[int, Proposal] = field(default_factory=dict)
    _steps: deque[Step] = field(default_factory=deque)  # to train, before anything new
    _unsent: deque[int] = field(default_factory=deque)  # trials whose record in MLflow is incomplete
    _trained: dict[int, int] = field(default_factory=dict)  # epochs by trial
    _training: dict[int, int] = field(default_factory=dict)  # the epochs of the step that a trial is at
    _failed: set[int] = field(default_factory=set)
    _finished: dict[int, dict[str, float]] = field(default_factory=dict)  # the objectives of fully trained trials

    def resume(self, proposals: Mapping[int, Proposal], failed: Set[int] = frozenset(), *, sends: bool = False) -> None:
        """Continue with `proposals`, all that were ever made, by number; `failed` are those that cannot train on.

        With `sends`, workers first send what MLflow has missed of trials that are trained: no epochs are spent on that.
        """
        unfinished = {proposal.number for proposal in self.proposer.running()} & set(proposals)
        self._failed = (self.proposer.failed() | failed) & set(proposals)
        unsent = []
        for number, proposal in sorted(proposals.items()):
            self._proposals[number] = proposal
            result = read_result(self.folder_of(number)) or {}
            epoch = result.get("epochs_trained", 0)
            self._count(number, epoch)
            if sends and _is_unsent(result):
                unsent.append(number)
            for reached in (row["epoch"] for row in result.get("history", ())):
                if reached in self.stopping.rungs:
                    self.stopping.record(number, reached, self._standing(result, reached))
            if number in self._failed:
                self.stopping.forget(number)
                continue
            if result.get("state") == "FINISHED":
                self._finished[number] = measured(result, result["history"][-1])
            state, is_told = result.get("state"), number not in unfinished
            # A trial that trained on has been told already, of the rung below.
            is_interrupted = state in ("RUNNING", "KILLED")
            if state == "FINISHED":
                self._tell(number, result)
            elif state == "STOPPED":
                if is_told:
                    self.stopping.settle(number)
            elif is_interrupted or not is_told:
                rung = next(rung for rung in self.stopping.rungs if rung >= epoch)  # on a rung, it stops at once
                self._steps.append(Step(number, rung))
        self.spending.trials = len(proposals)
        self._go_on()
        going_on = {step.trial for step in self._steps}
        self._unsent.extend(number for number in unsent if number not in going_on)
        for number in unfinished - going_on:
            self._tell(number, read_result(self.folder_of(number)) or {})

    def next_team(self) -> Team | None:
        """What a free worker trains; None if there is nothing, now or ever."""
        if self._unsent:
            number = self._unsent.popleft()
            return self._team(self._proposals[number], self._trained[number])
        # What MLflow has missed of a trial may still be on its way.
        step = next((step for step in self._steps if step.trial not in self._training), None)
        if step is not None and self.spending.may_train:
            self._steps.remove(step)
            return self._team(self._proposals[step.trial], step.until)
        if self.spending.may_begin and not self.exhausted:
            proposal = self.proposer.propose()
            if proposal is not None:
                self._proposals[proposal.number] = proposal
                self.spending.trials += 1
                self.on_begun(proposal)
                return self._team(proposal, self.stopping.rungs[0])
            self.exhausted = True
        if not self.spending.may_train:
            return None
        last = self._next_step(is_last=self._is_last())
        return None if last is None else self._team(self._proposals[last.trial], last.until)

    def ended(self, job: Job, end: AttemptEnd) -> None:
        """The last attempt at a step of a trial has ended."""
        self._training.pop(job.number, None)
        result = end.result or read_result(job.folder) or {}
        self._count(job.number, result.get("epochs_trained", 0))
        self._count_begun()
        if end.state == "STOPPED":
            self.stopping.record(job.number, job.until or self.epochs, self._standing(result, job.until))
            self._go_on()
            if all(step.trial != job.number for step in self._steps):
                self._tell(job.number, result)
        elif end.state == "FINISHED":
            self._finished[job.number] = measured(result, result["history"][-1])
            self._tell(job.number, result)
        elif end.state == "FAILED":
            self._failed.add(job.number)
            self.stopping.forget(job.number)
            self._say(job.number, None)
            self._go_on()

    def look(self) -> None:
        """Take in what others have reached: nothing, in a study of its own."""

    @contextmanager
    def closing(self) -> Iterator[bool]:
        """While it is closed, after its last trial: whether this process trains the finalists."""
        yield True

    def counts(self) -> dict[str, int]:
        """How many trials are FINISHED, FAILED and STOPPED; the others train, or are about to train on."""
        busy = self._busy()
        stopped = set(self._proposals) - set(self._finished) - self._failed - busy
        return {"FINISHED": len(self._finished), "FAILED": len(self._failed), "STOPPED": len(stopped)}

    def most_accurate(self) -> tuple[float, int] | None:
        """The highest final accuracy of a fully trained trial, in percent, and the trial's number; None without any."""
        accuracies = {number: values.get("val/accuracy") for number, values in self._finished.items()}
        trained = [(accuracy, -number) for number, accuracy in accuracies.items() if accuracy is not None]
        return (max(trained)[0], -max(trained)[1]) if trained else None

    def trained(self, number: int) -> tuple[Proposal, dict[str, float]]:
        """A fully trained trial, and its objectives."""
        return self._proposals[number], self._finished[number]

    def front(self) -> list[int]:
        """The fully trained trials that no other one dominates, the best in the first objective first."""
        if not self._finished:
            return []
        numbers = list(self._finished)
        losses = self._losses(numbers)
        front = fronts(losses)[0]
        return [numbers[row] for row in front[np.argsort(losses[front][:, 0], kind="stable")]]

    def best(self, limit: int) -> list[Proposal]:
        """At most `limit` trials to train again, all different networks, the best in the first objective first.

        With one objective, they are the best; with several, those of the front that cover most of it.
        """
        if not self._finished:
            return []
        several = len(self.proposer.objectives) > 1
        candidates = self.front() if several else list(self._finished)
        losses = self._losses(candidates)
        networks: dict[str, int] = {}  # with search.duplicates=reseed, some are there several times
        for row in np.argsort(losses[:, 0], kind="stable"):
            networks.setdefault(self._proposals[candidates[row]].identity, int(row))
        rows = list(networks.values())
        kept = sorted(covering(losses[rows], limit)) if several else range(len(rows))[:limit]
        return [self._proposals[candidates[rows[row]]] for row in kept]

    def _losses(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """The losses (trials, objectives) of fully trained trials."""
        objectives = self.proposer.objectives
        return np.array(
            [losses_of(objectives, [self._finished[number][name] for name in objectives]) for number in numbers], float
        )

    def _go_on(self) -> None:
        while (step := self._next_step(is_last=False)) is not None:
            if all(step.trial != other.trial for other in self._steps):
                self._steps.append(step)
            else:  # it is going on where it was killed, on the rung below perhaps
                self._steps = deque(step if step.trial == other.trial else other for other in self._steps)

    def _team(self, proposal: Proposal, until: int) -> Team:
        self._training[proposal.number] = max(0, until - self._trained.get(proposal.number, 0))
        self._count_begun()
        return (self.make_job(proposal, until),)

    def _count(self, number: int, epochs: int) -> None:
        self.spending.epochs += max(0, epochs - self._trained.get(number, 0))
        self._trained[number] = max(epochs, self._trained.get(number, 0))

    def _standing(self, result: Mapping[str, Any], epoch: int | None) -> Standing:
        row = next(row for row in result["history"] if row["epoch"] == (epoch or self.epochs))
        values = measured(result, row)
        costs = tuple(values[name] for name in self.proposer.objectives if name not in MEASURED)
        return Standing(row["val/accuracy"], costs)

    def _tell(self, number: int, result: Mapping[str, Any]) -> None:
        self._say(number, measured(result, result["history"][-1]) if result.get("history") else None)

    def _say(self, number: int, values: Mapping[str, float] | None) -> None:
        """Tell the study what a trial has reached; None if it has failed."""
        self.proposer.tell(number, values, "FAIL" if values is None else "COMPLETE")

    def _next_step(self, *, is_last: bool) -> Step | None:
        return self.stopping.next_step(is_last=is_last)

    def _is_last(self) -> bool:
        """Whether no trial is training that could change who trains on."""
        return not self._training

    def _busy(self) -> set[int]:
        """The trials that train, or are about to."""
        return {*self._training, *(step.trial for step in self._steps)}

    def _count_begun(self) -> None:
        self.spending.begun_epochs = sum(self._training.values())


def _is_unsent(result: Mapping[str, Any]) -> bool:
    is_complete = (result.get("tracking") or {}).get("complete", True)
    return result.get("state") in ("FINISHED", "STOPPED") and not is_complete


def measured(result: Mapping[str, Any], row: Mapping[str, float]) -> dict[str, float]:
    """The objectives of a trial, from its `result.json`, as they were after the epoch of `row`."""
    seconds = [epoch["seconds"] for epoch in result["history"]]
    return {
        "epoch_seconds": sum(seconds) / len(seconds),
        **{name: row[name] for name in DIRECTIONS if name in row},
        "params": result["params"],
        "macs": result["macs"],
    }
