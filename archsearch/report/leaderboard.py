"""Ranks the variants of a study by validation accuracy; variants that do not differ significantly share a place."""

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
    """A variant with its place: one more than the number of variants that are significantly better.

    `place` is None if a comparison is impossible because no seeds differ, and beside a baseline, where other pairs are
    not tested, as in a comparison of two. `score` is in percent: the mean over seeds with its t-interval, or a single
    run with Wilson's interval, which covers other images rather than other seeds.
    """

    number: int  # of the row, from 1
    place: int | None
    tied: bool
    variant: Variant
    score: statistics.Estimate
    test: statistics.Estimate | None
    against: Comparison | None  # with the leaderboard's reference; None for the reference itself


@dataclass(frozen=True)
class Leaderboard:
    """A ranked study. `reference` is the variant that all rows are compared with: the baseline, else the leader."""

    study: Study
    rows: Sequence[LeaderboardRow]
    reference: Variant
    is_baseline: bool
    family: int  # comparisons that the p-values are adjusted for
    compared: Comparison | None  # the only one, where two variants are compared on request
    p: NDArray[np.float64]  # of all pairs: that of the verdict, or adjusted as one family without one: (k, k)
    pairs: int  # that can be tested
    unplanned_p: float | None = None  # of the compared pair, if it was chosen among all pairs after seeing the results

    @property
    def role(self) -> str:
        """What `reference` is: the `leader`, the `baseline`, or `B` of two compared variants."""
        return "B" if self.compared is not None else "baseline" if self.is_baseline else "leader"

    @property
    def contenders(self) -> Sequence[int]:
        """The indices of the rows that do not differ significantly from the leader, including the leader."""
        return [int(index) for index in np.flatnonzero(~(self.p[0] < ALPHA))]

    @property
    def optimism(self) -> float | None:
        """By how many points the leader's accuracy is overstated if all contenders are equally good.

        The leader is selected as the best of them on these same images. None if the spread between seeds is unknown.
        """
        spread = self.study.spread or self.study.borrowed_spread
        if spread is None or len(self.contenders) < 2:
            return None
        return statistics.luck_of_the_best(len(self.contenders)) * spread / sqrt(len(self.study.variants[0].scores()))


def rank(study: Study, baseline: Variant | None = None, compared: tuple[Variant, Variant] | None = None) -> Leaderboard:
    """Rank the variants of `study`.

    Without `baseline`, all pairs are tested as one family (Holm), because any two may be compared after seeing the
    results. With one, each variant is only tested against it, which needs fewer seeds. With `compared`, A and B, this
    pair alone is tested: it has one verdict, which is the same wherever it is shown.
    """
    variants = study.variants
    p = _adjusted(study)
    is_ranking = baseline is None and compared is None
    places: Sequence[int | None] = _places(study, p) if is_ranking else [None] * len(variants)
    reference = compared[1] if compared is not None else baseline or variants[0]
    pairs = int((~np.isnan(p[np.triu_indices(len(variants), 1)])).sum())
    family = max(1, pairs)
    if compared is not None:
        comparisons = {compared[0].label: compare(*compared, study)}
        family = 1
    elif baseline is not None:
        comparisons = against(baseline, study)
        family = max((comparison.family for comparison in comparisons.values()), default=1)
    else:
        comparisons = {
            variant.label: compare(variant, reference, study, family, study.pairs, float(p[0, index]))
            for index, variant in enumerate(variants)
            if index
        }
    rows = [
        LeaderboardRow(
            index + 1,
            places[index],
            places[index] is not None and places.count(places[index]) > 1,
            variant,
            interval(variant, "selecting", study),
            interval(variant, "test", study) if variant.scores("test") else None,
            comparisons.get(variant.label),
        )
        for index, variant in enumerate(variants)
    ]
    only = comparisons[compared[0].label] if compared is not None else None
    unplanned_p = None
    others = {variant.label: index for index, variant in enumerate(variants)}
    for label, comparison in comparisons.items():
        place = others[label], others[reference.label]
        if only is not None and pairs > 1:
            unplanned_p = float(p[place])
        p[place] = p[place[::-1]] = comparison.p
    return Leaderboard(study, rows, reference, baseline is not None, family, only, p, pairs, unplanned_p)


def interval(variant: Variant, name: str, study: Study) -> statistics.Estimate:
    """The mean accuracy (`selecting` or `test`) in percent: t-interval over seeds, Wilson's for a single run."""
    scores = list(variant.scores(name).values())
    if len(scores) > 1:
        estimate = statistics.mean(scores)
        return statistics.Estimate(estimate.value, max(0.0, estimate.low), min(100.0, estimate.high))
    total = study.images("test" if name == "test" or study.on_test else "validation")
    if total is None:
        return statistics.mean(scores)
    return statistics.wilson(round(scores[0] / 100 * total), total).times(100)


def _places(study: Study, p: NDArray[np.float64]) -> list[int | None]:
    means = np.array([variant.mean() for variant in study.variants])
    places: list[int | None] = []
    for index, mean in enumerate(means):
        others = np.delete(p[index], index)
        places.append(None if np.isnan(others).any() else 1 + int(((means > mean) & (p[index] < ALPHA)).sum()))
    return places


def _adjusted(study: Study) -> NDArray[np.float64]:
    """The p-values of all pairs, tested as in `compare` and adjusted as one family: (k, k)."""
    scores = [list(variant.scores().values()) for variant in study.variants]
    means = np.array([np.mean(values) for values in scores])
    deviations = np.array([statistics.deviation(values) for values in scores])
    counts = np.array([len(values) for values in scores])
    p = statistics.welch_p(means, deviations, counts)
    if study.spread is not None:
        p = np.where(np.isnan(p), statistics.pooled_p(means, counts, study.spread, study.dof), p)
    np.fill_diagonal(p, np.nan)
    upper = np.triu_indices(len(p), 1)
    p[upper] = statistics.holm(p[upper].tolist())
    p.T[upper] = p[upper]
    return p
