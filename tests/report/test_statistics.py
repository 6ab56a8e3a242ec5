"""Statistics against published numbers and scipy's own other functions."""

from math import isnan, nan

import numpy as np
import pytest
from scipy import stats as scipy_stats

from archsearch.report import statistics

# R's `sleep`: extra hours of sleep with two drugs, ten patients; the numbers are those of R's t.test.
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3; the last one is the reference's level.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718),
     (9940, 10_000, 0.9923, 0.9953)],
)  # fmt: skip
def test_wilson(correct: int, total: int, low: float, high: float) -> None:
    found = statistics.wilson(correct, total)
    assert found.value == correct / total
    assert found.low == pytest.approx(low, abs=5e-5) and found.high == pytest.approx(high, abs=5e-5)


def test_t_interval_of_a_mean() -> None:
    found = statistics.mean(DRUG_2)
    assert found.value == pytest.approx(2.33)
    assert found.low == pytest.approx(0.8976775, abs=1e-6) and found.high == pytest.approx(3.7623225, abs=1e-6)
    assert isnan(statistics.mean([99.4]).low)


def test_welch() -> None:
    found = statistics.welch(DRUG_1, DRUG_2)
    assert found.value == pytest.approx(-1.58) and found.p == pytest.approx(0.07939, abs=5e-6)
    assert found.low == pytest.approx(-3.3654832, abs=1e-6) and found.high == pytest.approx(0.2054832, abs=1e-6)


def test_paired() -> None:
    found = statistics.paired(DRUG_1, DRUG_2)
    assert found.value == pytest.approx(-1.58) and found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.low == pytest.approx(-2.4598858, abs=1e-6) and found.high == pytest.approx(-0.7001142, abs=1e-6)


def test_nothing_is_claimed_without_a_spread() -> None:
    assert isnan(statistics.welch([99.4], [99.1, 99.2]).p) and isnan(statistics.welch([99.4, 99.4], [99.1, 99.1]).p)
    assert isnan(statistics.paired([99.4], [99.1]).p) and isnan(statistics.paired([2, 3, 4], [1, 2, 3]).p)
    assert (
        statistics.welch([99.4, 99.4, 99.4], [99.1, 99.2, 99.15]).p < 0.05
    )  # one spread is enough, and warns of nothing


def test_welch_of_all_pairs_is_welch_of_each() -> None:
    groups = [DRUG_1, DRUG_2, [1.0], [2.0, 2.0], [1.5, 2.5, 9.0]]
    means, deviations = (np.array([of(group) for group in groups]) for of in (np.mean, statistics.deviation))
    p = statistics.welch_p(means, deviations, np.array([len(group) for group in groups]))
    for a, b in np.ndindex(p.shape):
        assert a == b or p[a, b] == pytest.approx(statistics.welch(groups[a], groups[b]).p, nan_ok=True)
    assert np.isnan(p.diagonal()).all()


def test_mcnemar() -> None:
    assert statistics.mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert statistics.mcnemar(9, 1) == statistics.mcnemar(1, 9)
    assert statistics.mcnemar(7, 7) == 1 and statistics.mcnemar(0, 0) == 1


def test_holm() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert statistics.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    found = statistics.holm([0.01, nan, 0.04, 0.03, 0.005])
    assert isnan(found.pop(1)) and found == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []


def test_power_and_seeds() -> None:
    # R: power.t.test(n = 20, delta = 1, sd = 1); power.t.test(power = .90, delta = 1): n = 22.02
    assert statistics.power(1, 1, 20) == pytest.approx(0.8689528, abs=1e-6)
    assert statistics.seeds_needed(1, 1, wanted=0.9) == 23
    # Cohen's table 2.4.1, at a = .05 and power .80
    assert [statistics.seeds_needed(d, 1) for d in (0.2, 0.5, -0.8)] == [394, 64, 26]
    assert statistics.seeds_needed(0.1, 0.06) == 7
    # By numerical integration over the spread: 0.7733 of 19, 0.8151 of 20.
    assert statistics.seeds_needed(0.1, 0.06, alpha=0.05 / 435) == 20
    assert statistics.power(0.1, 0.06, 19, 0.05 / 435) == pytest.approx(0.7733085, abs=1e-6)
    assert (
        statistics.seeds_needed(0, 1) is None
        and statistics.seeds_needed(nan, 1) is None
        and statistics.seeds_needed(1, 0) == 2
    )


def test_probability_of_improvement_is_mann_whitney_where_nothing_is_paired() -> None:
    found = statistics.improvement(DRUG_2, DRUG_1[:7], are_pairs=False)
    u = scipy_stats.mannwhitneyu(DRUG_2, DRUG_1[:7]).statistic
    assert found.value == pytest.approx(u / (10 * 7))
    assert found.low < found.value < found.high


def test_probability_of_improvement_over_pairs() -> None:
    """Resampling pairs that are won or lost is drawing from a binomial."""
    won = [1.0] * 22 + [-1.0] * 7
    found = statistics.improvement(won, [0.0] * 29, are_pairs=True)
    low, high = scipy_stats.binom.ppf([0.025, 0.975], 29, 22 / 29) / 29
    assert found.value == pytest.approx(22 / 29)
    assert found.low == pytest.approx(low, abs=1 / 29) and found.high == pytest.approx(high, abs=1 / 29)
    assert statistics.improvement(won, [0.0] * 29, are_pairs=True) == found
    assert statistics.improvement([1, 2], [1, 2], are_pairs=True).value == 0.5  # a draw is half_width a win


@pytest.mark.parametrize(
    ("low", "high", "conclusion"),
    [(0.4, 0.9, "not significant"), (0.5, 0.9, "not significant"), (0.55, 0.7, "not meaningful"),
     (0.55, 0.8, "significant and meaningful"), (nan, nan, "not significant")],
)  # fmt: skip
def test_the_rule_of_bouthillier(low: float, high: float, conclusion: str) -> None:
    assert statistics.conclude(statistics.Estimate(0.6, low, high)) == conclusion


def test_luck_of_the_best() -> None:
    # The expected maximum of n standard normals: Harter, Biometrika 48, 1961.
    for n, expected in ((2, 0.56419), (5, 1.16296), (10, 1.53875), (100, 2.50759)):
        assert statistics.luck_of_the_best(n) == pytest.approx(expected, abs=1e-5)
    assert statistics.luck_of_the_best(1) == 0
