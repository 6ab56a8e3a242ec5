"""Statistics against published values and independent functions of scipy."""

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
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3; the last row is the reference's accuracy.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718),
     (9940, 10_000, 0.9923, 0.9953)],
)  # fmt: skip
def test_wilsons_interval_has_published_values(correct: int, total: int, low: float, high: float) -> None:
    estimate = statistics.wilson(correct, total)
    assert estimate.value == correct / total
    assert estimate.low == pytest.approx(low, abs=5e-5) and estimate.high == pytest.approx(high, abs=5e-5)


def test_the_t_interval_of_a_mean_is_that_of_r() -> None:
    estimate = statistics.mean(DRUG_2)
    assert estimate.value == pytest.approx(2.33)
    assert estimate.low == pytest.approx(0.8976775, abs=1e-6) and estimate.high == pytest.approx(3.7623225, abs=1e-6)
    assert isnan(statistics.mean([99.4]).low)


def test_welchs_test_is_that_of_r() -> None:
    estimate = statistics.welch(DRUG_1, DRUG_2)
    assert estimate.value == pytest.approx(-1.58) and estimate.p == pytest.approx(0.07939, abs=5e-6)
    assert estimate.low == pytest.approx(-3.3654832, abs=1e-6) and estimate.high == pytest.approx(0.2054832, abs=1e-6)


def test_the_paired_test_is_that_of_r() -> None:
    estimate = statistics.paired(DRUG_1, DRUG_2)
    assert estimate.value == pytest.approx(-1.58) and estimate.p == pytest.approx(0.002833, abs=5e-7)
    assert estimate.low == pytest.approx(-2.4598858, abs=1e-6) and estimate.high == pytest.approx(-0.7001142, abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [([99.4], [99.1, 99.2]), ([99.4, 99.4], [99.1, 99.1])])
def test_welchs_test_needs_two_scores_and_a_spread(a: list[float], b: list[float]) -> None:
    assert isnan(statistics.welch(a, b).p)


@pytest.mark.parametrize(("a", "b"), [([99.4], [99.1]), ([2, 3, 4], [1, 2, 3])])
def test_the_paired_test_needs_two_pairs_and_a_spread_of_differences(a: list[float], b: list[float]) -> None:
    assert isnan(statistics.paired(a, b).p)


def test_the_spread_of_one_sample_is_enough_for_welchs_test() -> None:
    assert statistics.welch([99.4, 99.4, 99.4], [99.1, 99.2, 99.15]).p < 0.05  # and scipy's warning is suppressed


def test_welchs_p_of_all_pairs_is_that_of_each_pair() -> None:
    groups = [DRUG_1, DRUG_2, [1.0], [2.0, 2.0], [1.5, 2.5, 9.0]]
    means, deviations = (np.array([of(group) for group in groups]) for of in (np.mean, statistics.deviation))
    p = statistics.welch_p(means, deviations, np.array([len(group) for group in groups]))
    for a, b in np.ndindex(p.shape):
        assert a == b or p[a, b] == pytest.approx(statistics.welch(groups[a], groups[b]).p, nan_ok=True)
    assert np.isnan(p.diagonal()).all()


def test_mcnemars_test_is_the_exact_binomial_test() -> None:
    assert statistics.mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert statistics.mcnemar(9, 1) == statistics.mcnemar(1, 9)


def test_mcnemars_p_is_1_for_networks_that_are_right_equally_often() -> None:
    assert statistics.mcnemar(7, 7) == 1 and statistics.mcnemar(0, 0) == 1


def test_holms_adjustment_is_that_of_r() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert statistics.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert statistics.holm([]) == []


def test_holms_adjustment_does_not_count_tests_that_were_impossible() -> None:
    adjusted = statistics.holm([0.01, nan, 0.04, 0.03, 0.005])
    assert isnan(adjusted.pop(1)) and adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_power_is_that_of_r() -> None:
    assert statistics.power(1, 1, 20) == pytest.approx(0.8689528, abs=1e-6)  # power.t.test(n = 20, delta = 1, sd = 1)


def test_power_at_a_small_alpha_is_that_of_numerical_integration() -> None:
    assert statistics.power(0.1, 0.06, 19, 0.05 / 435) == pytest.approx(0.7733085, abs=1e-6)
    assert statistics.seeds_needed(0.1, 0.06, alpha=0.05 / 435) == 20  # whose power is 0.8151


def test_the_seeds_needed_have_published_values() -> None:
    # Cohen's table 2.4.1, at a = .05 and power .80; R: power.t.test(power = .90, delta = 1): n = 22.02
    assert [statistics.seeds_needed(d, 1) for d in (0.2, 0.5, -0.8)] == [394, 64, 26]
    assert statistics.seeds_needed(1, 1, target=0.9) == 23
    assert statistics.seeds_needed(0.1, 0.06) == 7


@pytest.mark.parametrize(("difference", "sd", "seeds"), [(0, 1, None), (nan, 1, None), (1e-4, 1, None), (1, 0, 2)])
def test_the_seeds_needed_for_extreme_differences(difference: float, sd: float, seeds: int | None) -> None:
    assert statistics.seeds_needed(difference, sd) == seeds


def test_the_probability_of_improvement_of_unpaired_runs_is_mann_whitneys_u() -> None:
    estimate = statistics.improvement(DRUG_2, DRUG_1[:7], are_pairs=False)
    u = scipy_stats.mannwhitneyu(DRUG_2, DRUG_1[:7]).statistic
    assert estimate.value == pytest.approx(u / (10 * 7))
    assert estimate.low < estimate.value < estimate.high


def test_the_probability_of_improvement_over_pairs_has_a_binomial_interval() -> None:
    """Resampling pairs that are won or lost is drawing from a binomial."""
    won = [1.0] * 22 + [-1.0] * 7
    estimate = statistics.improvement(won, [0.0] * 29, are_pairs=True)
    low, high = scipy_stats.binom.ppf([0.025, 0.975], 29, 22 / 29) / 29
    assert estimate.value == pytest.approx(22 / 29)
    assert estimate.low == pytest.approx(low, abs=1 / 29) and estimate.high == pytest.approx(high, abs=1 / 29)


def test_the_probability_of_improvement_is_reproducible() -> None:
    first, second = (statistics.improvement([1, 2, 3], [1, 2.5, 2], are_pairs=True) for _ in range(2))
    assert first == second


def test_a_tie_is_half_an_improvement() -> None:
    assert statistics.improvement([1, 2], [1, 2], are_pairs=True).value == 0.5


@pytest.mark.parametrize(
    ("low", "high", "conclusion"),
    [(0.4, 0.9, "not significant"), (0.5, 0.9, "not significant"), (0.55, 0.7, "not meaningful"),
     (0.55, 0.8, "significant and meaningful"), (nan, nan, "not significant")],
)  # fmt: skip
def test_the_rule_of_bouthillier_needs_both_bounds(low: float, high: float, conclusion: str) -> None:
    assert statistics.conclude(statistics.Estimate(0.6, low, high)) == conclusion


def test_the_luck_of_the_best_is_the_expected_maximum_of_normals() -> None:
    # The expected maximum of n standard normals: Harter, Biometrika 48, 1961.
    for n, expected in ((2, 0.56419), (5, 1.16296), (10, 1.53875), (100, 2.50759)):
        assert statistics.luck_of_the_best(n) == pytest.approx(expected, abs=1e-5)
    assert statistics.luck_of_the_best(1) == 0
