"""Intervals and tests for accuracies over seeds, and for predictions over images.

Scores are numbers in any unit, e.g. accuracies in percent; proportions are in [0, 1]. Intervals cover 95 % by default.
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
FEWEST_PAIRS = 10  # below, P(A > B) has no interval here
_RESAMPLES = 1000
_MOST_SEEDS = 10_000
_NO_DIFFERENCE = 1e-9

Conclusion = Literal["not significant", "not meaningful", "significant and meaningful"]


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2

    def times(self, factor: float) -> "Estimate":
        """The estimate multiplied by a positive `factor`, to convert its unit."""
        return Estimate(factor * self.value, factor * self.low, factor * self.high)


@dataclass(frozen=True)
class Difference(Estimate):
    """A difference of means with its confidence interval, and the p-value of the test that the true difference is 0."""

    p: float


def wilson(correct: int, total: int, confidence: float = CONFIDENCE) -> Estimate:
    """The proportion `correct / total` with Wilson's score interval (JASA 22, 1927)."""
    interval = stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return Estimate(correct / total, float(interval.low), float(interval.high))


def deviation(scores: Sequence[float]) -> float:
    """The sample standard deviation (n - 1); NaN for fewer than two scores."""
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else nan


def mean(scores: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean with its t-interval; the bounds are NaN for a single score."""
    centre, n = float(np.mean(scores)), len(scores)
    if n < 2:
        return Estimate(centre, nan, nan)
    half_width = deviation(scores) / sqrt(n) * float(stats.t.ppf((1 + confidence) / 2, n - 1))
    return Estimate(centre, centre - half_width, centre + half_width)


def welch(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """Welch's t-test of mean(a) - mean(b) for independent samples with unequal variances (Biometrika 34, 1947).

    Interval and p are NaN if either sample has fewer than two scores, or if neither has any spread.
    """
    value = float(np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2 or not _spread(a) + _spread(b):
        return Difference(value, nan, nan, nan)
    with warnings.catch_warnings():  # scipy warns if one sample has no spread; the other's is enough
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        test = stats.ttest_ind(a, b, equal_var=False)
    interval = test.confidence_interval(confidence)
    return Difference(value, float(interval.low), float(interval.high), float(test.pvalue))


def welch_p(
    means: NDArray[np.float64], deviations: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Welch's p for every pair of k variants, from their means, standard deviations and sample sizes: (k, k)."""
    first, second = np.triu_indices(len(means), 1)
    values = np.full((len(means), len(means)), nan)
    testable = (np.minimum(counts[first], counts[second]) > 1) & (deviations[first] + deviations[second] > 0)
    first, second = first[testable], second[testable]
    if len(first):
        samples = [(means[side], deviations[side], counts[side]) for side in (first, second)]
        p = stats.ttest_ind_from_stats(*samples[0], *samples[1], equal_var=False).pvalue
        values[first, second] = values[second, first] = p
    return values


def pooled(value: float, counts: tuple[int, int], spread: float, dof: int) -> Difference:
    """Student's t-test of a difference of means `value`, with a standard deviation estimated from other samples.

    `counts` are the two sample sizes; `spread` is the standard deviation, with `dof` degrees of freedom.
    """
    error = spread * sqrt(1 / counts[0] + 1 / counts[1])
    half_width = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, dof))
    return Difference(value, value - half_width, value + half_width, float(2 * stats.t.sf(abs(value) / error, dof)))


def pooled_p(means: NDArray[np.float64], counts: NDArray[np.int64], spread: float, dof: int) -> NDArray[np.float64]:
    """`pooled`'s p for every pair of k variants: (k, k)."""
    errors = spread * np.sqrt(1 / counts[:, None] + 1 / counts)
    return np.asarray(2 * stats.t.sf(np.abs(means[:, None] - means) / errors, dof))


def paired(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """The paired t-test of mean(a - b). Interval and p are NaN for a single pair, or if all differences are equal."""
    differences = np.subtract(a, b)
    centre = float(np.mean(differences))
    if len(a) < 2 or not _spread(differences):
        return Difference(centre, nan, nan, nan)
    test = stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(confidence)
    return Difference(centre, float(interval.low), float(interval.high), float(test.pvalue))


def mcnemar(only_a: int, only_b: int) -> float:
    """The p-value of the exact McNemar test (Psychometrika 12, 1947) that two classifiers are equally accurate.

    `only_a` and `only_b` count the images that only the first or only the second classifies correctly.
    """
    discordant = only_a + only_b
    return float(stats.binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0


def win_rate(a: Sequence[float], b: Sequence[float], are_pairs: bool) -> float:
    """The share of pairs (or of all combinations, unless `are_pairs`) with A's score above B's; ties count half."""
    first, second = np.asarray(a, float), np.asarray(b, float)
    return float(np.mean(_wins(first, second)) if are_pairs else _share(first, second))


def improvement(
    a: Sequence[float], b: Sequence[float], are_pairs: bool, confidence: float = CONFIDENCE, seed: int = 0
) -> Estimate:
    """P(A > B), the probability that a run of A beats one of B, with its percentile bootstrap interval.

    Counts pairs if `are_pairs`, as in Bouthillier et al. (MLSys 2021), otherwise all combinations; ties count half.
    `seed` makes the resampling reproducible. The bounds are NaN if either sample has fewer than two scores.
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
        interval = stats.bootstrap((_wins(first, second),), np.mean, **options).confidence_interval
    else:
        interval = stats.bootstrap((first, second), _share, vectorized=True, **options).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def conclude(improved: Estimate, meaningful: float = MEANINGFUL) -> Conclusion:
    """The decision rule of Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks", MLSys 2021.

    `improved` is P(A > B). A is better if the interval lies above 1/2 and its upper bound exceeds `meaningful`. The
    rule is designed for about 29 pairs; with few, its interval is too narrow (see `benchmarks/verdicts.py`).
    """
    if not improved.low > 0.5:
        return "not significant"
    return "significant and meaningful" if improved.high > meaningful else "not meaningful"


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for multiple comparisons by Holm's method (1979), which controls the family-wise error rate.

    NaN (no test was possible) stays NaN and does not count as a comparison.
    """
    values = np.asarray(p, float)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    values[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return [float(value) for value in values]


def power(difference: float, sd: float, n: int, alpha: float = 1 - CONFIDENCE) -> float:
    """The power of a two-sided t-test with `n` seeds per variant for a true `difference` and standard deviation `sd`.

    A significant result of the wrong sign does not count; scipy is not accurate in that tail.
    """
    dof = 2 * n - 2
    shift = abs(difference) / (sd * sqrt(2 / n))
    critical = stats.t.ppf(1 - alpha / 2, dof)
    return float(stats.nct.sf(critical, dof, shift))


def seeds_needed(difference: float, sd: float, alpha: float = 1 - CONFIDENCE, target: float = POWER) -> int | None:
    """The seeds per variant with which a t-test detects a true `difference` with power `target`.

    `sd` is the standard deviation between seeds. None if there is no difference, if the standard deviation is unknown,
    or if more than 10,000 seeds would be needed.
    """
    if not (isfinite(difference) and isfinite(sd)) or abs(difference) < _NO_DIFFERENCE:
        return None
    if sd == 0:
        return 2
    # The normal approximation is a lower bound, a few seeds short at most.
    quantiles = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(target))
    n = max(2, ceil(2 * (quantiles * sd / difference) ** 2))
    if n > _MOST_SEEDS:
        return None
    while power(difference, sd, n, alpha) < target:
        n += 1
    return n


def luck_of_the_best(n: int) -> float:
    """The expected maximum of `n` standard normals.

    It is how far the best of `n` equally good variants is expected to appear above their mean, in standard deviations.
    """
    return float(stats.norm.expect(lambda x: n * x * stats.norm.cdf(x) ** (n - 1))) if n > 1 else 0.0


def _spread(scores: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.ptp(scores))


def _wins(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((a > b) + 0.5 * (a == b))


def _share(a: NDArray[np.float64], b: NDArray[np.float64], axis: int = -1) -> Any:
    assert axis == -1
    return _wins(a[..., :, None], b[..., None, :]).mean(axis=(-2, -1))
