"""Local search with restarts (White et al., arXiv:2005.02960)."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from archsearch.search.candidate import Checked, Member
from archsearch.search.draws import Draws
from archsearch.search.objectives import dominates


@dataclass(frozen=True)
class LocalSearch:
    """Climbs from a random candidate to its neighbours, and starts again where none of them is better.

    It moves to the first neighbour that is better, not to the best of all, so that workers need not wait for each
    other. With several objectives, better means that it dominates. A neighbourhood that cannot be counted has
    `patience` members.
    """

    patience: int = 30

    def propose(self, members: Sequence[Member], draws: Draws, _: Random) -> Checked | None:
        """The next candidate."""
        by_number = sorted(members, key=lambda member: member.number)
        starts = [member for member in by_number if member.candidate.parent is None]
        if not starts:
            return draws.drawn()
        here, tried = _climb(starts[-1], by_number)
        uncountable = draws.space.size is None
        stuck = (uncountable and tried >= self.patience) or (here.losses is None and not here.is_running)
        return (None if stuck else draws.neighbour(here)) or draws.drawn()


def _climb(start: Member, members: Sequence[Member]) -> tuple[Member, int]:
    """Where a climb from `start` stands, and how many neighbours of that place have been tried."""
    here = start
    while True:
        neighbours = [member for member in members if member.candidate.parent == here.number]
        better = next((member for member in neighbours if dominates(member, here)), None)
        if better is None:
            return here, len(neighbours)
        here = better
