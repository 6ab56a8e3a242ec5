"""Comparison of two variants: better, worse or tied, and how many seeds would settle it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan, nan, sqrt
from typing import Literal

from archsearch.report import statistics
from archsearch.report.numerals import p_equation, points, with_margin
from archsearch.report.study import Study, Variant

Verdict = Literal["better", "worse", "tied", "trivial", "unknown"]

ALPHA = 1 - statistics.CONFIDENCE


@dataclass(frozen=True)
class Comparison:
    """Variant `a` against variant `b` over their seeds; accuracies in percent, differences in points.

    The verdict is Welch's t-test, with `p` adjusted by Holm's method for a `family` of comparisons. If a variant has a
    single seed, or neither has any spread, it is Student's t-test with the standard deviation of the whole study.
    A significant difference is "trivial" if A beats B in less than 75 % of runs with 95 % confidence, which is the
    second half of the decision rule of Bouthillier et al. (MLSys 2021); it is applied from 10 pairs of runs on.
    """

    a: str
    b: str
    scores: tuple[Mapping[int, float], Mapping[int, float]]  # by seed
    difference: statistics.Difference
    p: float
    family: int
    planned: int  # the family's size once every variant has enough seeds to be tested
    spread: float | None  # standard deviation between seeds of one variant, in points

    @property
    def verdict(self) -> Verdict:
        if isnan(self.p):
            return "unknown"
        if self.p >= ALPHA:
            return "tied"
        leading, trailing = self.scores if self.difference.value > 0 else self.scores[::-1]
        if _is_trivial(leading, trailing):
            return "trivial"
        return "better" if self.difference.value > 0 else "worse"

    @property
    def paired(self) -> statistics.Difference | None:
        """The difference over the seeds that both have; None for fewer than two."""
        a, b = self.scores
        shared = [seed for seed in a if seed in b]
        if len(shared) < 2:
            return None
        return statistics.paired([a[seed] for seed in shared], [b[seed] for seed in shared])

    @property
    def pairs(self) -> int:
        """The number of pairs of runs: the seeds of the variant that has fewer."""
        return min(map(len, self.scores))

    @property
    def combinations(self) -> int | None:
        """All combinations of runs, which P(A > B) counts if the seeds differ; None if it counts pairs."""
        a, b = self.scores
        return None if set(a) == set(b) else len(a) * len(b)

    @property
    def improvement(self) -> statistics.Estimate | None:
        """P(A > B), over pairs of equal seed if both have the same seeds; None for fewer than 10 pairs."""
        return None if self.pairs < statistics.FEWEST_PAIRS else _improvement(*self.scores)

    @property
    def conclusion(self) -> statistics.Conclusion:
        """The result of the complete rule of Bouthillier et al. for the variant with the higher mean."""
        a, b = self.scores
        return statistics.conclude(_improvement(a, b) if self.difference.value > 0 else _improvement(b, a))

    @property
    def seeds_needed(self) -> int | None:
        """The seeds per variant that would detect a difference of the observed size in 80 % of studies."""
        if self.spread is None:
            return None
        needed = statistics.seeds_needed(self.difference.value, self.spread, ALPHA / self.planned)
        if needed is None or self.verdict != "tied":
            return needed
        return max(needed, min(map(len, self.scores)) + 1)  # the present number did not suffice

    def sentence(self, in_order: bool = False) -> str:
        """The verdict as a sentence: the variant with the higher mean first, or A first where `in_order`."""
        is_swapped = self.difference.value < -1e-9 and not in_order
        first, second = (self.b, self.a) if is_swapped else (self.a, self.b)
        relation = "worse" if self.difference.value < 0 and not is_swapped else "better"
        value = self.difference.value if in_order and self.verdict == "tied" else abs(self.difference.value)
        size = f"{with_margin(self.difference, points(value))} points"
        adjusted = f", adjusted for {self.family:,} comparisons" if self.family > 1 else ""
        match self.verdict:
            case "better" | "worse":
                return f"{first} is {relation} than {second}: {size} ({p_equation(self.p)}{adjusted})"
            case "trivial":
                return (
                    f"{first} is {relation} than {second}, but by too little to matter: {size}"
                    f" ({p_equation(self.p)}{adjusted})"
                )
            case "tied":
                p = f" ({p_equation(self.p)}{adjusted})" if adjusted else ""
                return f"No significant difference between {first} and {second}: {size}{p}; {self._needs()}"
        return f"Not enough seeds to compare {first} and {second}: {self._missing()}"

    def _needs(self) -> str:
        needed = self.seeds_needed
        if needed is None:
            return "no practical number of seeds would detect it"
        return f"about {needed:,} seeds each would be needed to detect it"

    def _missing(self) -> str:
        size = f"{abs(self.difference.value):.2f} points"
        if max(map(len, self.scores)) > 1:
            return f"{size}, but no variant's seeds differ, so the spread between seeds is unknown; train more seeds"
        if self.spread is None:
            return f"{size} with one seed each, and the spread between seeds is unknown; train several with seed=1,2,3"
        noise = 1.96 * sqrt(2) * self.spread
        return (
            f"{size} with one seed each; two seeds of the same network differ by up to {noise:.2f} points"
            f" (standard deviation {self.spread:.2f}, from the reference network); {self._needs()}"
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
    deviations = [statistics.deviation(list(by_seed.values())) for by_seed in scores]
    spread = sqrt((deviations[0] ** 2 + deviations[1] ** 2) / 2)
    if not spread > 0:
        spread = study.spread or study.borrowed_spread or nan
    p = difference.p if p is None else p
    return Comparison(a.label, b.label, scores, difference, p, family, planned, None if isnan(spread) else spread)


def against(reference: Variant, study: Study) -> dict[str, Comparison]:
    """Compare every other variant of `study` with `reference`, as one family; by label."""
    comparisons = [compare(variant, reference, study) for variant in study.variants if variant.label != reference.label]
    adjusted = statistics.holm([comparison.p for comparison in comparisons])
    family = max(1, sum(not isnan(p) for p in adjusted))
    return {
        comparison.a: replace(comparison, p=p, family=family, planned=len(comparisons))
        for comparison, p in zip(comparisons, adjusted, strict=True)
    }


def _samples(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[list[float], list[float], bool]:
    """Both lists of scores, in the same order of seeds if they have the same seeds, and whether they do."""
    if set(a) == set(b):
        return list(a.values()), [b[seed] for seed in a], True
    return list(a.values()), list(b.values()), False


def _is_trivial(leading: Mapping[int, float], trailing: Mapping[int, float]) -> bool:
    a, b, are_pairs = _samples(leading, trailing)
    if min(len(a), len(b)) < statistics.FEWEST_PAIRS:
        return False  # the bootstrap interval is far too narrow
    if statistics.win_rate(a, b, are_pairs) > statistics.MEANINGFUL:
        return False  # the interval's upper bound is higher still, and takes a thousand resamplings
    return not statistics.improvement(a, b, are_pairs).high > statistics.MEANINGFUL


def _improvement(a: Mapping[int, float], b: Mapping[int, float]) -> statistics.Estimate:
    return statistics.improvement(*_samples(a, b))
