"""All variants of a study, ranked on validation accuracy, with ties shown as ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, sqrt

import numpy as np
from numpy.typing import NDArray

from archsearch import stats
from archsearch.report.study import Study, Variant
from archsearch.report.verdict import ALPHA, Comparison, against, compare


@dataclass(frozen=True)
class Row:
    """A variant's place: one more than the variants that are better beyond luck, so ties share theirs.

    `score` is the mean over seeds with its t-interval, or a single run with Wilson's interval, which is of other images
    rather than of other seeds; in percent.
    """

    number: int  # of the row, from 1
    place: int
    tied: bool
    variant: Variant
    score: stats.Estimate
    test: stats.Estimate | None
    against: Comparison | None  # the variant against the baseline, or against the leader


@dataclass(frozen=True)
class Leaderboard:
    """A study, ranked. `reference` is what the rows are compared with: the baseline, else the leader."""

    study: Study
    rows: Sequence[Row]
    reference: Variant
    is_baseline: bool
    family: int  # comparisons that the p are adjusted for

    @property
    def leaders(self) -> Sequence[Row]:
        """The rows that nothing is better than."""
        return [row for row in self.rows if row.place == 1]

    @property
    def optimism(self) -> float | None:
        """By how many points the leader is expected to seem better than it is, were all leaders equally good.

        It was picked as the best of them on these same images. None where the spread between seeds is unknown.
        """
        spread = self.study.spread
        if spread is None or len(self.leaders) < 2:
            return None
        runs = len(self.leaders[0].variant.scores())
        return stats.luck_of_the_best(len(self.leaders)) * spread / sqrt(runs)


def rank(study: Study, baseline: Variant | None = None) -> Leaderboard:
    """Rank the variants of `study`.

    Without `baseline` all variants are tested against all (one family, Holm), because any two may be compared once the
    results are seen; with one, each is tested against that only, which needs fewer seeds.
    """
    variants = study.variants
    places = [1] * len(variants)
    ties = [False] * len(variants)
    p = _adjusted(study)
    means = np.array([variant.mean() or 0.0 for variant in variants])
    for at in range(len(variants)):
        beaten = (means > means[at]) & (p[at] < ALPHA)
        places[at] += int(beaten.sum())
    for at, place in enumerate(places):
        ties[at] = places.count(place) > 1
    reference = baseline or variants[0]
    family = max(1, int((~np.isnan(p[np.triu_indices(len(variants), 1)])).sum()))
    if baseline is not None:
        comparisons = against(baseline, study)
        family = max((each.family for each in comparisons.values()), default=1)
    else:
        comparisons = {
            variant.label: compare(variant, reference, study, family, float(p[0, at]))
            for at, variant in enumerate(variants)
            if at
        }
    rows = [
        Row(
            at + 1,
            places[at],
            ties[at],
            variant,
            interval(variant, "selecting", study),
            interval(variant, "test", study) if variant.scores("test") else None,
            comparisons.get(variant.label),
        )
        for at, variant in enumerate(variants)
    ]
    return Leaderboard(study, rows, reference, baseline is not None, family)


def interval(variant: Variant, name: str, study: Study) -> stats.Estimate:
    """The mean of a variant's accuracies (`selecting` or `test`), %: t-interval over seeds, Wilson's of one run."""
    scores = list(variant.scores(name).values())
    if len(scores) > 1:
        return stats.mean(scores)
    total = study.images("test" if name == "test" or study.on_test else "validation")
    if total is None:
        return stats.mean(scores)
    return stats.wilson(round(scores[0] / 100 * total), total).times(100)


def luck(study: Study) -> NDArray[np.float64]:
    """Welch's p of all pairs of variants: (k, k)."""
    scores = [list(variant.scores().values()) for variant in study.variants]
    means = np.array([np.mean(each) for each in scores])
    deviations = np.array([stats.deviation(each) for each in scores])
    return stats.welch_p(means, deviations, np.array([len(each) for each in scores]))


def _adjusted(study: Study) -> NDArray[np.float64]:
    """`luck`, adjusted as one family."""
    p = luck(study)
    upper = np.triu_indices(len(p), 1)
    p[upper] = stats.holm(p[upper].tolist())
    p.T[upper] = p[upper]
    return p


def has_spread(estimate: stats.Estimate) -> bool:
    """Whether the estimate has an interval."""
    return not isnan(estimate.low)
