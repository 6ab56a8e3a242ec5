"""Searches for tests: a space that is composed by Hydra, and proposals that nobody trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock

from archsearch.config.search import BlockLimits
from archsearch.config.settings import Constraints
from archsearch.search.checks import Checks
from archsearch.search.grammar import read_settings
from archsearch.search.objectives import directions_of
from archsearch.search.planning import architectures_around, planner
from archsearch.search.proposals import Proposal, Proposer
from archsearch.search.space import Space
from archsearch.search.storage import open_study
from archsearch.sweep.grid import GridPoint
from tests.support.requests import composer

MIXED = (
    "model.dropout=interval(0,0.3)",
    "model.blocks.conv3.channels=choice(8,12,16,24)",
    "model.head.type=linear,gap",
)


@dataclass(frozen=True)
class Composed:
    """A space and its checks, as a command line with these words has them."""

    space: Space
    checks: Checks
    constraints: Constraints

    def proposer(self, sampler: str, study: "optuna.Study | Path | None" = None, **more: Any) -> Proposer:
        """One for a study in memory, or in a journal."""
        options = {"objectives": ("val/accuracy",), **more}
        if isinstance(study, Path):
            options["lock"] = FileLock(f"{study}.asking")
            study = open_study(study, options["objectives"])
        study = study or optuna.create_study(directions=directions_of(options["objectives"]))
        return Proposer(study, self.space, self.checks, sampler=sampler, **options)


def searching(
    *words: str, blocks: BlockLimits | None = None, from_nothing: bool = False, in_file: dict[str, str] | None = None
) -> Composed:
    """The space of these words."""
    optuna.logging.disable_default_handler()
    settings, fixed = read_settings(words, in_file, composer().loader)
    plan_of = planner(composer())
    run = plan_of(GridPoint(fixed, {}), None)
    near = None if blocks is None else architectures_around(run, blocks, from_nothing=from_nothing)
    space = Space(settings, fixed, near)
    assert run.settings is not None
    return Composed(space, Checks(space, plan_of), run.settings.constraints)


def score(proposal: Proposal) -> dict[str, float]:
    """Objectives by arithmetic, which a sampler can learn: large networks with little dropout are best."""
    dropout = float(proposal.values.get("model.dropout", 0))
    return {
        "val/accuracy": 90 + proposal.params / 20_000 - 10 * dropout,
        "val/loss": dropout,
        "params": float(proposal.params),
        "macs": float(proposal.macs),
        "epoch_seconds": proposal.macs / 1e6,
    }


def train(proposer: Proposer, trials: int) -> list[Proposal]:
    """Propose and tell so many trials."""
    proposals: list[Proposal] = []
    for _ in range(trials):
        proposal = proposer.propose()
        if proposal is None:
            break
        proposer.tell(proposal.number, score(proposal))
        proposals.append(proposal)
    return proposals


def identities(proposals: Sequence[Proposal]) -> set[str]:
    """The networks that were proposed."""
    return {proposal.identity for proposal in proposals}
