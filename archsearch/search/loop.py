"""What a free worker trains next: a trial that goes on, or a new one. No worker ever waits for others.

The study holds what was proposed and told, the folders of the trials hold what they have reached. A search that was
killed therefore goes on from both: trials that were training are trained on first.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archsearch.runs.result import read_result
from archsearch.search.objectives import losses_of
from archsearch.search.pareto import best_first, fronts
from archsearch.search.proposals import Proposal, Proposer
from archsearch.search.spending import Spending
from archsearch.search.stopping import Standing, Step, Stopping
from archsearch.sweep.worker import AttemptEnd, Job, Team

_COSTS = ("params", "macs", "epoch_seconds")  # objectives that are known after any epoch, and not learned


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
    _trained: dict[int, int] = field(default_factory=dict)  # epochs by trial
    _training: set[int] = field(default_factory=set)
    _finished: dict[int, dict[str, float]] = field(default_factory=dict)  # the objectives of fully trained trials

    def resume(self, proposals: Mapping[int, Proposal]) -> None:
        """Continue with `proposals`, all that were ever made, by number."""
        unfinished = {proposal.number for proposal in self.proposer.running()}
        for number, proposal in sorted(proposals.items()):
            self._proposals[number] = proposal
            result = read_result(self.folder_of(number)) or {}
            epoch = result.get("epochs_trained", 0)
            self._count(number, epoch)
            if result.get("state") == "FAILED" and number not in unfinished:
                continue
            for reached in (row["epoch"] for row in result.get("history", ())):
                if reached in self.stopping.rungs:
                    self.stopping.record(number, reached, self._standing(result, reached))
            if result.get("state") == "FINISHED":
                self._finished[number] = measured(result, result["history"][-1])
            if number not in unfinished:
                continue
            if result.get("state") == "FINISHED":
                self._tell(number, result)
            elif result.get("state") != "STOPPED":
                rung = next(rung for rung in self.stopping.rungs if rung >= epoch)  # on a rung, it stops at once
                self._steps.append(Step(number, rung))
        self.spending.trials = len(proposals)
        self._go_on()
        going_on = {step.trial for step in self._steps}
        for number in unfinished - going_on:
            self._tell(number, read_result(self.folder_of(number)) or {})

    def next_team(self) -> Team | None:
        """What a free worker trains; None if there is nothing, now or ever."""
        if self._steps and self.spending.may_train:
            step = self._steps.popleft()
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
        last = self.stopping.next_step(is_last=not self._training)
        return None if last is None else self._team(self._proposals[last.trial], last.until)

    def ended(self, job: Job, end: AttemptEnd) -> None:
        """The last attempt at a step of a trial has ended."""
        self._training.discard(job.number)
        result = end.result or read_result(job.folder) or {}
        self._count(job.number, result.get("epochs_trained", 0))
        if end.state == "STOPPED":
            self.stopping.record(job.number, job.until or self.epochs, self._standing(result, job.until))
            self._go_on()
            if all(step.trial != job.number for step in self._steps):
                self._tell(job.number, result)
        elif end.state == "FINISHED":
            self._finished[job.number] = measured(result, result["history"][-1])
            self._tell(job.number, result)
        elif end.state == "FAILED":
            self.proposer.tell(job.number, None, "FAIL")

    def front(self) -> list[int]:
        """The fully trained trials that no other one dominates, the best in the first objective first."""
        if not self._finished:
            return []
        objectives = self.proposer.objectives
        numbers = list(self._finished)
        losses = np.array([losses_of(objectives, self._values(number)) for number in numbers])
        best = fronts(losses)[0] if len(objectives) > 1 else np.argsort(losses[:, 0], kind="stable")
        return [numbers[row] for row in best[np.argsort(losses[best][:, 0], kind="stable")]]

    def best(self, limit: int) -> list[Proposal]:
        """At most `limit` trials to train again: the front or, with one objective, the best; the best first."""
        front = self.front()
        if len(front) > limit and len(self.proposer.objectives) > 1:
            losses = np.array([losses_of(self.proposer.objectives, self._values(number)) for number in front])
            kept = set(best_first(losses)[:limit])
            front = [number for row, number in enumerate(front) if row in kept]
        return [self._proposals[number] for number in front[:limit]]

    def _values(self, number: int) -> list[float]:
        return [self._finished[number][name] for name in self.proposer.objectives]

    def _go_on(self) -> None:
        while (step := self.stopping.next_step()) is not None:
            if all(step.trial != other.trial for other in self._steps):  # it may be going on where it was killed
                self._steps.append(step)

    def _team(self, proposal: Proposal, until: int) -> Team:
        self._training.add(proposal.number)
        return (self.make_job(proposal, until),)

    def _count(self, number: int, epochs: int) -> None:
        self.spending.epochs += max(0, epochs - self._trained.get(number, 0))
        self._trained[number] = max(epochs, self._trained.get(number, 0))

    def _standing(self, result: Mapping[str, Any], epoch: int | None) -> Standing:
        row = next(row for row in result["history"] if row["epoch"] == (epoch or self.epochs))
        values = measured(result, row)
        return Standing(row["val/accuracy"], tuple(values[name] for name in self.proposer.objectives if name in _COSTS))

    def _tell(self, number: int, result: Mapping[str, Any]) -> None:
        if result.get("history"):
            self.proposer.tell(number, measured(result, result["history"][-1]))
        else:
            self.proposer.tell(number, None, "FAIL")


def measured(result: Mapping[str, Any], row: Mapping[str, float]) -> dict[str, float]:
    """The objectives of a trial, from its `result.json`, as they were after the epoch of `row`."""
    seconds = [epoch["seconds"] for epoch in result["history"]]
    return {
        "val/accuracy": row["val/accuracy"],
        "val/loss": row["val/loss"],
        "params": result["params"],
        "macs": result["macs"],
        "epoch_seconds": sum(seconds) / len(seconds),
    }
