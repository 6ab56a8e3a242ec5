"""What samplers choose from: candidates that fit into the budget and have not been proposed."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice
from random import Random

from archsearch.search.candidate import Candidate, Checked, Member
from archsearch.search.checks import Check
from archsearch.search.space import Space

_TRIES = 50  # draws for one proposal
_WALK = 10  # most steps of a walk that are skipped
_STEPS = 300  # mutations towards the budget
_ENUMERATED = 500  # candidates of a space that is checked to its end before a search,
_EXHAUSTED = 1_000  # and of one that a search can exhaust


@dataclass(frozen=True)
class Draws:
    """Draws from `space`. Networks whose identity is in `seen` are drawn again; `known` are the trials' candidates."""

    space: Space
    check: Check
    seen: Set[str]
    random: Random
    known: Sequence[Candidate] = ()

    def drawn(self) -> Checked | None:
        """A random candidate; None if there is none left."""
        drawn = self._first_new(self.space.drawn(self.random) for _ in range(_TRIES))
        if drawn is None and self.space.size is not None and self.space.size <= _EXHAUSTED:
            candidates = list(self.space.all())
            return self._first_new(self.random.sample(candidates, len(candidates)))
        return drawn or self._walked()

    def mutated(self, parent: Member) -> Checked | None:
        """`parent` with one change; None if none was found."""
        candidates = iter(lambda: self.space.mutated(parent.candidate, self.random), None)
        return self._first_new(_child(candidate, parent) for candidate in islice(candidates, _TRIES))

    def neighbour(self, parent: Member) -> Checked | None:
        """A neighbour of `parent`; None if all of them have been proposed."""
        neighbours = self.space.neighbours(parent.candidate, self.random)
        return self._first_new(_child(candidate, parent) for candidate in neighbours)

    def next_of(self, candidates: Iterable[Candidate]) -> Checked | None:
        """The first of `candidates` that fits and is new."""
        return self._first_new(candidates)

    def _walked(self) -> Checked | None:
        """A candidate from a random walk within the budget, from a trial, or from the first candidate that fits."""
        begin = (
            self.check(self.random.choice(self.known)) if self.known else closest(self.space, self.check, self.random)
        )
        return begin if self._is_new(begin) else self._first_new(self._walk(begin))

    def _walk(self, here: Checked) -> Iterator[Candidate]:
        for step in range(-self.random.randrange(_WALK), _STEPS if here.fits else 0):
            candidate = self.space.mutated(here.candidate, self.random)
            if candidate is None:
                return
            checked = self.check(candidate)
            here = checked if checked.fits else here
            if step >= 0:
                yield Candidate(candidate.params, candidate.model)

    def _first_new(self, candidates: Iterable[Candidate]) -> Checked | None:
        return next((checked for checked in map(self.check, candidates) if self._is_new(checked)), None)

    def _is_new(self, checked: Checked) -> bool:
        return checked.fits and checked.identity not in self.seen


def closest(space: Space, check: Check, random: Random) -> Checked:
    """A candidate that fits, or the one found that is closest to it, in `misfit`.

    A small space is searched to its end. Of any other, random candidates are drawn, and the closest is mutated as long
    as it comes closer.
    """
    small = space.size is not None and space.size <= _ENUMERATED
    candidates: Iterable[Candidate] = space.all() if small else (space.drawn(random) for _ in range(_TRIES))
    best = _closest_of(map(check, candidates))
    for _ in range(0 if small else _STEPS):
        mutated = None if best.fits else space.mutated(best.candidate, random)
        if mutated is None:
            break
        checked = check(mutated)
        best = checked if checked.misfit <= best.misfit else best
    return best


def _closest_of(checked: Iterator[Checked]) -> Checked:
    best = next(checked)
    for other in checked:
        if best.fits:
            break
        best = min(best, other, key=lambda one: one.misfit)
    return best


def _child(candidate: Candidate, parent: Member) -> Candidate:
    return replace(candidate, parent=parent.number)
