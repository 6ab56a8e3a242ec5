"""Searches whose trials are not trained: their curves are made up, their workers take turns."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from archsearch.runs.result import read_result
from archsearch.search.loop import SearchLoop
from archsearch.search.proposals import Proposal, Proposer
from archsearch.search.spending import Spending
from archsearch.search.stopping import Stopping
from archsearch.sweep.worker import AttemptEnd, Job
from tests.support.searches import score

Curve = Callable[[Proposal, int], float]  # the accuracy of a proposal after an epoch


def rising(proposal: Proposal, epoch: int) -> float:
    """Every epoch halves the distance to what `score` gives."""
    return score(proposal)["val/accuracy"] * (1 - 0.5**epoch)


class Simulation:
    """A search in `folder`, where trials leave a `result.json` like those of real ones."""

    def __init__(
        self, proposer: Proposer, stopping: Stopping, spending: Spending, folder: Path, curve: Curve = rising
    ) -> None:
        self.folder, self.curve, self.epochs = folder, curve, stopping.rungs[-1]
        self.begun: list[Proposal] = []
        self.steps: list[tuple[int, int]] = []  # trial and last epoch of what was trained
        self.spending = spending
        self.loop = SearchLoop(proposer, stopping, self.epochs, spending, self.folder_of, self._job, self.begun.append)
        self._proposals: dict[int, Proposal] = {}

    def folder_of(self, number: int) -> Path:
        return self.folder / str(number)

    def run(self, workers: int = 2, most_steps: int | None = None, seed: int = 0) -> None:
        """Train until nothing is left, or so many steps have ended; the others are killed before their last epoch."""
        chance, running = Random(seed), list[Job]()
        while most_steps is None or len(self.steps) < most_steps:
            while len(running) < workers and (team := self.loop.next_team()) is not None:
                running.append(team[0])
            if not running:
                return
            job = running.pop(chance.randrange(len(running)))
            self.loop.ended(job, self._end(job))
        for job in running:
            assert job.until is not None
            if job.until > 1:
                self.leave(job, job.until - 1, "RUNNING")

    def _job(self, proposal: Proposal, until: int) -> Job:
        self._proposals[proposal.number] = proposal
        return Job(proposal.number, None, self.folder_of(proposal.number), until)  # type: ignore[arg-type]

    def _end(self, job: Job) -> AttemptEnd:
        assert job.until is not None
        if (read_result(job.folder) or {}).get("epochs_trained", 0) < job.until:
            self.steps.append((job.number, job.until))
        state = "FINISHED" if job.until == self.epochs else "STOPPED"
        return AttemptEnd(job.number, state, result=self.leave(job, job.until, state))

    def leave(self, job: Job, epochs: int, state: str) -> dict[str, Any]:
        """Write the `result.json` of a trial in `state` after so many epochs; returns its content."""
        proposal = self._proposals[job.number]
        history = [
            {"epoch": epoch, "val/accuracy": self.curve(proposal, epoch), "val/loss": 1.0, "seconds": 1.0}
            for epoch in range(1, epochs + 1)
        ]
        result: dict[str, Any] = {
            "state": state, "epochs_trained": epochs, "params": proposal.params, "macs": proposal.macs,
            "final": history[-1], "history": history,
        }  # fmt: skip
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / "result.json").write_text(json.dumps(result))
        return result
