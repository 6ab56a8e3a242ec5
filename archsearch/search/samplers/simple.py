"""Samplers that learn nothing: random search and the grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from archsearch.search.candidate import Checked, Member
from archsearch.search.draws import Draws
from archsearch.search.samplers.evolution import Evolution
from archsearch.search.samplers.local_search import LocalSearch


class Sampler(Protocol):
    """A sampler of our own. All that it knows is in the trials, so that a search can go on after any interruption."""

    def propose(self, members: Sequence[Member], draws: Draws, random: Random) -> Checked | None:
        """The next candidate, after trials `members`; None if the space is exhausted."""


@dataclass(frozen=True)
class RandomSearch:
    """Any candidate."""

    def propose(self, _: Sequence[Member], draws: Draws, __: Random) -> Checked | None:
        """The next candidate."""
        return draws.drawn()


@dataclass(frozen=True)
class Grid:
    """All candidates in order."""

    def propose(self, members: Sequence[Member], draws: Draws, _: Random) -> Checked | None:
        """The next candidate."""
        proposed = {member.candidate.key for member in members}
        return draws.next_of(candidate for candidate in draws.space.all() if candidate.key not in proposed)


OWN_SAMPLERS: dict[str, Sampler] = {
    "random": RandomSearch(),
    "grid": Grid(),
    "evolution": Evolution(),
    "local_search": LocalSearch(),
}
