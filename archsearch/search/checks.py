"""Checks candidates by arithmetic, each once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from archsearch.config.settings import Settings
from archsearch.search.budget import excess_of
from archsearch.search.candidate import Candidate, Checked
from archsearch.search.identity import identity
from archsearch.search.planning import PlanOf
from archsearch.search.space import Space
from archsearch.sweep.grid import GridPoint

Check: TypeAlias = Callable[[Candidate], Checked]


@dataclass
class Checks:
    """Plans a candidate of `space`, and compares it with the constraints of its configuration."""

    space: Space
    plan_of: PlanOf
    known: dict[str, Checked] = field(default_factory=dict)

    def __call__(self, candidate: Candidate) -> Checked:
        """What arithmetic says about `candidate`."""
        if candidate.key not in self.known:
            self.known[candidate.key] = self._checked(candidate)
        return replace(self.known[candidate.key], candidate=candidate)

    def _checked(self, candidate: Candidate) -> Checked:
        point = GridPoint(self.space.overrides(candidate), self.space.shown(candidate))
        run = self.plan_of(point, candidate.model)
        if run.plan is None or run.settings is None:
            return Checked(candidate, None, problems=run.problems)
        return Checked(
            candidate,
            identity(run.plan, run.settings),
            run.plan.params,
            run.plan.macs,
            run.plan.receptive_field,
            run.settings.seed,
            run.problems,
            excess_of(run.settings.constraints, run.plan),
            _protocol(run.settings),
        )


def _protocol(settings: Settings) -> dict[str, object]:
    data, trainer = settings.data, settings.trainer
    return {"data": data.name, "data.validation": data.validation, "trainer.epochs": trainer.epochs}
