"""Two variants: better, worse, or not to be told apart, and how many seeds would be needed to tell."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt
from typing import Literal

from archsearch.report import statistics
from archsearch.report.study import Study, Variant

Verdict = Literal["better", "worse", "tied", "trivial", "unknown"]

ALPHA = 1 - statistics.CONFIDENCE


@dataclass(frozen=True)
class Comparison:
    """Variant `a` against variant `b` over their seeds; accuracies in points of a percent.

    The verdict is Welch's t-test (where one of them has a single seed or no spread: Student's, with the spread of the
    whole study), with `p` adjusted (Holm) for the `family` of comparisons that it is one of. A difference that is
    beyond luck, but in which A beats B in less than 75 % of runs with 95 % confidence (the second half of Bouthillier
    et al.'s rule), is "trivial".
    """

    a: str
    b: str
    scores: tuple[Mapping[int, float], Mapping[int, float]]  # by seed
    difference: statistics.Difference
    p: float
    family: int
    planned: int  # comparisons that would be made with more seeds
    spread: float | None  # between seeds of one variant, in points
    is_borrowed: bool  # the spread is not the study's but the reference's

    @property
    def verdict(self) -> Verdict:
        if isnan(self.p):
            return "unknown"
        if self.p >= ALPHA:
            return "tied"
        ahead, behind = self.scores if self.difference.value > 0 else self.scores[::-1]
        if _is_trivial(ahead, behind):
            return "trivial"
        return "better" if self.difference.value > 0 else "worse"

    @property
    def paired(self) -> statistics.Difference | None:
        """The difference over the seeds that both have, if that are two or more."""
        shared = _shared(*self.scores)
        a, b = self.scores
        return (
            statistics.paired([a[seed] for seed in shared], [b[seed] for seed in shared]) if len(shared) > 1 else None
        )

    @property
    def improvement(self) -> statistics.Estimate:
        """P(A > B), over pairs of one seed where both have the same seeds."""
        return _improvement(*self.scores)

    @property
    def conclusion(self) -> statistics.Conclusion:
        """What the whole rule of Bouthillier et al. says, whichever is ahead."""
        a, b = self.scores
        return statistics.conclude(_improvement(a, b) if self.difference.value > 0 else _improvement(b, a))

    @property
    def seeds_needed(self) -> int | None:
        """Seeds each with which a difference like the one seen would be found in 80 % of studies."""
        if self.spread is None:
            return None
        needed = statistics.seeds_needed(self.difference.value, self.spread, ALPHA / self.planned)
        had = min(map(len, self.scores))  # which did not tell: by bad luck, if they should have
        return needed if needed is None or self.verdict != "tied" else max(needed, had + 1)

    def sentence(self) -> str:
        """The verdict, for people."""
        ahead, behind = (self.a, self.b) if self.difference.value > -1e-9 else (self.b, self.a)
        seen = f"{abs(self.difference.value):.2f} +- {self.difference.half_width:.2f} points"
        of = f", adjusted for {self.family} comparisons" if self.family > 1 else ""
        match self.verdict:
            case "better" | "worse":
                return f"{ahead} is better than {behind}: {seen} ({said_p(self.p)}{of})"
            case "trivial":
                return f"{ahead} is better than {behind}, but by too little to matter: {seen} ({said_p(self.p)}{of})"
            case "tied":
                p = f" ({said_p(self.p)}{of})" if of else ""
                return f"{ahead} and {behind} cannot be told apart: {seen}{p}; {self._needs()}"
        return f"{ahead} and {behind} cannot be told apart: {self._unknown()}"

    def _needs(self) -> str:
        needed = self.seeds_needed
        return "no number of seeds is in sight" if needed is None else f"about {needed:,} seeds each would be needed"

    def _unknown(self) -> str:
        seen = f"{abs(self.difference.value):.2f} points"
        if max(map(len, self.scores)) > 1:
            return f"{seen}, and no seeds differ, which says nothing of their spread; more of them would"
        if self.spread is None:
            return f"{seen}, with one seed each, and nothing is known of the spread between seeds; seed=1,2,3 shows it"
        luck = 1.96 * sqrt(2) * self.spread
        whose = "those of the reference spread" if self.is_borrowed else "they spread"
        return (
            f"{seen}, with one seed each; two seeds of the same network differ by up to {luck:.2f}"
            f" ({whose} by {self.spread:.2f}); {self._needs()}"
        )


def compare(
    a: Variant, b: Variant, study: Study, family: int = 1, planned: int = 1, p: float | None = None
) -> Comparison:
    """Compare two variants of `study`. `p`, if given, is already adjusted for the `family` of comparisons."""
    scores = (a.scores(), b.scores())
    difference = statistics.welch(list(scores[0].values()), list(scores[1].values()))
    if isnan(difference.p) and study.spread is not None:
        counts = (len(scores[0]), len(scores[1]))
        difference = statistics.pooled(difference.value, counts, study.spread, study.dof)
    own = [statistics.deviation(list(each.values())) for each in scores]
    spread = sqrt((own[0] ** 2 + own[1] ** 2) / 2)
    if not spread > 0:
        spread = study.spread or study.borrowed_spread or nan
    p = difference.p if p is None else p
    known = None if isnan(spread) else spread
    return Comparison(a.label, b.label, scores, difference, p, family, planned, known, study.spread is None)


def against(reference: Variant, study: Study) -> dict[str, Comparison]:
    """Every other variant of `study` compared with `reference`, as one family; by the other's label."""
    found = [compare(variant, reference, study) for variant in study.variants if variant.label != reference.label]
    adjusted = statistics.holm([each.p for each in found])
    tested = max(1, sum(not isnan(p) for p in adjusted))
    return {
        each.a: replace(each, p=p, family=tested, planned=len(found)) for each, p in zip(found, adjusted, strict=True)
    }


def said_p(p: float) -> str:
    """`p = 0.03`, `p < 0.001`."""
    return f"p {shown_p(p)}" if p < 0.001 else f"p = {shown_p(p)}"


def shown_p(p: float) -> str:
    """A p in as many digits as it is worth."""
    return "?" if isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


def _shared(a: Mapping[int, float], b: Mapping[int, float]) -> list[int]:
    return [seed for seed in a if seed in b]


def _scores(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[list[float], list[float], bool]:
    """Both, in the order of their seeds, and whether they are pairs."""
    if set(a) == set(b):
        return list(a.values()), [b[seed] for seed in a], True
    return list(a.values()), list(b.values()), False


def _is_trivial(ahead: Mapping[int, float], behind: Mapping[int, float]) -> bool:
    a, b, are_pairs = _scores(ahead, behind)
    if statistics.win_rate(a, b, are_pairs) > statistics.MEANINGFUL:
        return False  # so is its interval's upper end, which takes a thousand resamplings
    return not statistics.improvement(a, b, are_pairs).high > statistics.MEANINGFUL


def _improvement(a: Mapping[int, float], b: Mapping[int, float]) -> statistics.Estimate:
    return statistics.improvement(*_scores(a, b))
