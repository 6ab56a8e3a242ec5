"""Intervals and tests for accuracies over seeds, and for predictions over images.

scipy has the distributions; what is here says which of them answers which question. Scores are plain numbers in
whatever unit they come in (accuracies in percent, say); proportions lie in [0, 1]. Intervals cover 95 % unless told
otherwise.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, nan, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8
MEANINGFUL = 0.75  # gamma of Bouthillier et al. 2021
ENOUGH_PAIRS = 29  # that they recommend for their rule: with fewer, its bootstrap interval is too narrow
_RESAMPLES = 1000
_MOST_SEEDS = 10_000
_NO_DIFFERENCE = 1e-9

Conclusion = Literal["not significant", "not meaningful", "significant and meaningful"]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2

    def times(self, factor: float) -> "Estimate":
        """In another unit, a positive `factor` finer."""
        return Estimate(factor * self.value, factor * self.low, factor * self.high)


@dataclass(frozen=True)
class Difference(Estimate):
    """A difference of means with its interval, and `p`, how often one this large would come of luck alone."""

    p: float


def wilson(correct: int, total: int, confidence: float = CONFIDENCE) -> Estimate:
    """The proportion `correct` of `total`, with Wilson's score interval (JASA 22, 1927)."""
    interval = stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return Estimate(correct / total, float(interval.low), float(interval.high))


def deviation(scores: Sequence[float]) -> float:
    """The standard deviation of two or more scores (with n - 1); NaN of fewer."""
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else nan


def mean(scores: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean with its t-interval; without one (NaN) where there is a single score."""
    centre, n = float(np.mean(scores)), len(scores)
    if n < 2:
        return Estimate(centre, nan, nan)
    half_width = deviation(scores) / sqrt(n) * float(stats.t.ppf((1 + confidence) / 2, n - 1))
    return Estimate(centre, centre - half_width, centre + half_width)


def welch(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """The difference of means, `a` less `b`, of independent scores (Welch, Biometrika 34, 1947: spreads may differ).

    Interval and p are NaN where either has fewer than two scores, or where none of the scores differ, which says
    nothing of their spread.
    """
    value = float(np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2 or not _spread(a) + _spread(b):
        return Difference(value, nan, nan, nan)
    with warnings.catch_warnings():  # scipy's, where one of them has no spread; the other's is enough
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        test = stats.ttest_ind(a, b, equal_var=False)
    interval = test.confidence_interval(confidence)
    return Difference(value, float(interval.low), float(interval.high), float(test.pvalue))


def welch_p(
    means: NDArray[np.float64], deviations: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """`welch`'s p of every pair among k variants: (k, k), from their means, deviations and numbers of scores."""
    first, second = np.triu_indices(len(means), 1)
    values = np.full((len(means), len(means)), nan)
    known = (np.minimum(counts[first], counts[second]) > 1) & (deviations[first] + deviations[second] > 0)
    first, second = first[known], second[known]
    if len(first):
        of = [(means[at], deviations[at], counts[at]) for at in (first, second)]
        p = stats.ttest_ind_from_stats(*of[0], *of[1], equal_var=False).pvalue
        values[first, second] = values[second, first] = p
    return values


def pooled(value: float, counts: tuple[int, int], spread: float, dof: int) -> Difference:
    """A difference of means `value` of `counts` scores whose spread is known from others (Student's t-test).

    `spread` is a standard deviation with `dof` degrees of dof.
    """
    error = spread * sqrt(1 / counts[0] + 1 / counts[1])
    half_width = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, dof))
    return Difference(value, value - half_width, value + half_width, float(2 * stats.t.sf(abs(value) / error, dof)))


def pooled_p(means: NDArray[np.float64], counts: NDArray[np.int64], spread: float, dof: int) -> NDArray[np.float64]:
    """`pooled`'s p of every pair among k variants: (k, k)."""
    errors = spread * np.sqrt(1 / counts[:, None] + 1 / counts)
    return np.asarray(2 * stats.t.sf(np.abs(means[:, None] - means) / errors, dof))


def paired(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """The mean difference of pairs, `a` less `b`, by the paired t-test; NaN like `welch`."""
    differences = np.subtract(a, b)
    centre = float(np.mean(differences))
    if len(a) < 2 or not _spread(differences):
        return Difference(centre, nan, nan, nan)
    test = stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(confidence)
    return Difference(centre, float(interval.low), float(interval.high), float(test.pvalue))


def mcnemar(only_a: int, only_b: int) -> float:
    """The p of the exact McNemar test (Psychometrika 12, 1947) that two classifiers are right equally often.

    `only_a` counts the images that only the first has right, `only_b` those that only the second has.
    """
    discordant = only_a + only_b
    return float(stats.binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0


def win_rate(a: Sequence[float], b: Sequence[float], are_pairs: bool) -> float:
    """The share of pairs (or else of all combinations) in which A's score is above B's; a draw counts as half."""
    first, second = np.asarray(a, float), np.asarray(b, float)
    return float(np.mean(_wins(first, second)) if are_pairs else _share(first, second))


def improvement(
    a: Sequence[float], b: Sequence[float], are_pairs: bool, confidence: float = CONFIDENCE, seed: int = 0
) -> Estimate:
    """P(A > B): how often a run of A beats one of B, with its percentile bootstrap interval; a draw counts as half.

    Over the pairs, where `are_pairs` (as Bouthillier et al. do, MLSys 2021), else over every combination. The same
    `seed` resamples alike. Without interval (NaN) where there are fewer than two of either.
    """
    options: dict[str, Any] = {
        "confidence_level": confidence, "n_resamples": _RESAMPLES, "method": "percentile",
        "rng": np.random.default_rng(seed),
    }  # fmt: skip
    value = win_rate(a, b, are_pairs)
    if min(len(a), len(b)) < 2:
        return Estimate(value, nan, nan)
    first, second = np.asarray(a, float), np.asarray(b, float)
    if are_pairs:
        found = stats.bootstrap((_wins(first, second),), np.mean, **options)
    else:
        found = stats.bootstrap((first, second), _share, vectorized=True, **options)
    return Estimate(value, float(found.confidence_interval.low), float(found.confidence_interval.high))


def conclude(improved: Estimate, meaningful: float = MEANINGFUL) -> Conclusion:
    """The decision rule of Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks", MLSys 2021.

    `improved` is P(A > B). A is better where the interval lies above 1/2 and reaches beyond `meaningful`. The rule is
    theirs for some 29 pairs; with a few, its interval is too narrow (`benchmarks/verdicts.py` shows how much).
    """
    if not improved.low > 0.5:
        return "not significant"
    return "significant and meaningful" if improved.high > meaningful else "not meaningful"


def holm(p: Sequence[float]) -> list[float]:
    """The p of several tests, adjusted so that one mistake in the whole family stays as rare as in one (Holm 1979).

    NaN (a test that could not be made) stays NaN and counts for nothing.
    """
    values = np.asarray(p, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    values[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return [float(value) for value in values]


def power(difference: float, sd: float, n: int, alpha: float = 1 - CONFIDENCE) -> float:
    """How often a two-sided t-test over `n` seeds each finds a true `difference`, and its sign, at a spread of `sd`.

    Finding the wrong sign does not count; scipy has no good number for how often that happens, either.
    """
    dof = 2 * n - 2
    shift = abs(difference) / (sd * sqrt(2 / n))
    critical = stats.t.ppf(1 - alpha / 2, dof)
    return float(stats.nct.sf(critical, dof, shift))


def seeds_needed(difference: float, sd: float, alpha: float = 1 - CONFIDENCE, wanted: float = POWER) -> int | None:
    """The seeds that each of two variants needs until a true `difference` is found with probability `wanted`.

    `sd` is the spread between seeds. None where no number would do: no difference, an unknown spread, or more than
    10,000 of them.
    """
    if not (isfinite(difference) and isfinite(sd)) or abs(difference) < _NO_DIFFERENCE:
        return None
    if sd == 0:
        return 2
    # The normal approximation is below the answer, by a few at most.
    quantiles = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(wanted))
    n = max(2, ceil(2 * (quantiles * sd / difference) ** 2))
    if n > _MOST_SEEDS:
        return None
    while power(difference, sd, n, alpha) < wanted:
        n += 1
    return n


def luck_of_the_best(n: int) -> float:
    """How far the best of `n` equally good ones is expected to seem above their mean, in standard deviations.

    The expected maximum of `n` standard normals.
    """
    return float(stats.norm.expect(lambda x: n * x * stats.norm.cdf(x) ** (n - 1))) if n > 1 else 0.0


def _spread(scores: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.ptp(scores))


def _wins(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((a > b) + 0.5 * (a == b))


def _share(a: NDArray[np.float64], b: NDArray[np.float64], axis: int = -1) -> Any:
    assert axis == -1
    return _wins(a[..., :, None], b[..., None, :]).mean(axis=(-2, -1))
