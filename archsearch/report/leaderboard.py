"""All variants of a study, ranked on validation accuracy, with ties shown as ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from archsearch.report import statistics
from archsearch.report.study import Study, Variant
from archsearch.report.verdict import ALPHA, Comparison, against, compare


@dataclass(frozen=True)
class LeaderboardRow:
    """A variant's place: one more than the variants that are better beyond luck, so ties share theirs.

    It has none where that cannot be said: without seeds that differ, and beside a baseline, as nothing else is tested.

    `score` is the mean over seeds with its t-interval, or a single run with Wilson's interval, which is of other images
    rather than of other seeds; in percent.
    """

    number: int  # of the row, from 1
    place: int | None
    tied: bool
    variant: Variant
    score: statistics.Estimate
    test: statistics.Estimate | None
    against: Comparison | None  # the variant against the baseline, or against the leader


@dataclass(frozen=True)
class Leaderboard:
    """A study, ranked. `reference` is what the rows are compared with: the baseline, else the leader."""

    study: Study
    rows: Sequence[LeaderboardRow]
    reference: Variant
    is_baseline: bool
    family: int  # comparisons that the p are adjusted for
    p: NDArray[np.float64]  # of all pairs, adjusted as one family: (k, k)

    @property
    def rivals(self) -> int:
        """How many variants cannot be told from the leader, itself included."""
        return int((~(self.p[0] < ALPHA)).sum())

    @property
    def optimism(self) -> float | None:
        """By how many points the leader is expected to seem better than it is, were its rivals as good as it is.

        It was picked as the best of them on these same images. None where the spread between seeds is unknown.
        """
        spread = self.study.spread or self.study.borrowed_spread
        if spread is None or self.rivals < 2:
            return None
        return statistics.luck_of_the_best(self.rivals) * spread / sqrt(len(self.study.variants[0].scores()))


def rank(study: Study, baseline: Variant | None = None) -> Leaderboard:
    """Rank the variants of `study`.

    Without `baseline` all variants are tested against all (one family, Holm), because any two may be compared once the
    results are seen; with one, each is tested against that only, which needs fewer seeds.
    """
    variants = study.variants
    p = _adjusted(study)
    places: Sequence[int | None] = _places(study, p) if baseline is None else [None] * len(variants)
    reference = baseline or variants[0]
    family = max(1, int((~np.isnan(p[np.triu_indices(len(variants), 1)])).sum()))
    if baseline is not None:
        comparisons = against(baseline, study)
        family = max((each.family for each in comparisons.values()), default=1)
    else:
        comparisons = {
            variant.label: compare(variant, reference, study, family, study.pairs, float(p[0, at]))
            for at, variant in enumerate(variants)
            if at
        }
    rows = [
        LeaderboardRow(
            at + 1,
            places[at],
            places[at] is not None and places.count(places[at]) > 1,
            variant,
            interval(variant, "selecting", study),
            interval(variant, "test", study) if variant.scores("test") else None,
            comparisons.get(variant.label),
        )
        for at, variant in enumerate(variants)
    ]
    return Leaderboard(study, rows, reference, baseline is not None, family, p)


def interval(variant: Variant, name: str, study: Study) -> statistics.Estimate:
    """The mean of a variant's accuracies (`selecting` or `test`), %: t-interval over seeds, Wilson's of one run."""
    scores = list(variant.scores(name).values())
    if len(scores) > 1:
        found = statistics.mean(scores)
        return statistics.Estimate(found.value, max(0.0, found.low), min(100.0, found.high))
    total = study.images("test" if name == "test" or study.on_test else "validation")
    if total is None:
        return statistics.mean(scores)
    return statistics.wilson(round(scores[0] / 100 * total), total).times(100)


def _places(study: Study, p: NDArray[np.float64]) -> list[int | None]:
    means = np.array([variant.mean() for variant in study.variants])
    places: list[int | None] = []
    for at, mean in enumerate(means):
        others = np.delete(p[at], at)
        places.append(None if np.isnan(others).any() else 1 + int(((means > mean) & (p[at] < ALPHA)).sum()))
    return places


def _adjusted(study: Study) -> NDArray[np.float64]:
    """The p of all pairs as `compare` has them, adjusted as one family: (k, k)."""
    scores = [list(variant.scores().values()) for variant in study.variants]
    means = np.array([np.mean(each) for each in scores])
    deviations = np.array([statistics.deviation(each) for each in scores])
    counts = np.array([len(each) for each in scores])
    p = statistics.welch_p(means, deviations, counts)
    if study.spread is not None:
        p = np.where(np.isnan(p), statistics.pooled_p(means, counts, study.spread, study.dof), p)
    np.fill_diagonal(p, np.nan)
    upper = np.triu_indices(len(p), 1)
    p[upper] = statistics.holm(p[upper].tolist())
    p.T[upper] = p[upper]
    return p
