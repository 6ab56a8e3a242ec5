"""Regularized evolution (Real et al., arXiv:1802.01548)."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from archsearch.search.candidate import Checked, Member
from archsearch.search.draws import Draws
from archsearch.search.objectives import best_first


@dataclass(frozen=True)
class Evolution:
    """Mutates the best of a sample of the population, from which the oldest member leaves when one joins.

    The population is the trials that were trained last, so that workers need not wait for each other. With several
    objectives, the best is the first in NSGA-II's order. The paper has 100 and 25 for 20,000 trials; 30 and 10 are for
    hundreds of trials.
    """

    population: int = 30
    sample: int = 10

    def propose(self, members: Sequence[Member], draws: Draws, random: Random) -> Checked | None:
        """The next candidate. `members` are in the order in which they were trained."""
        trained = [member for member in members if member.losses is not None]
        if len(members) < self.population or not trained:
            return draws.drawn()
        places = {member.number: place for place, member in enumerate(best_first(trained[-self.population :]))}
        sample = random.choices(trained[-self.population :], k=self.sample)
        return draws.mutated(min(sample, key=lambda member: places[member.number])) or draws.drawn()
