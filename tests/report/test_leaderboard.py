"""Places, intervals and the Pareto front."""

from math import sqrt

import pytest

from archsearch.report.leaderboard import Leaderboard, rank
from archsearch.report.pareto import points_of
from archsearch.report.study import Study, studies_of
from tests.support.studies import draws, replicates, study


@pytest.fixture(scope="module")
def four_levels() -> Study:
    """Two variants at the top that are tied, and two that are clearly worse."""
    scores = {"0": draws(99.40, 6, 1), "0.05": draws(99.38, 6, 2), "0.1": draws(98.9, 6, 3), "0.2": draws(97, 6, 4)}
    return study(scores)


@pytest.fixture(scope="module")
def board(four_levels: Study) -> Leaderboard:
    return rank(four_levels)


def test_tied_variants_share_a_place(board: Leaderboard) -> None:
    assert [(row.place, row.tied) for row in board.rows] == [(1, True), (1, True), (3, False), (4, False)]


def test_all_pairs_are_one_family(board: Leaderboard) -> None:
    assert board.family == 6


def test_the_leader_is_optimistic_by_the_expected_maximum_of_its_contenders(board: Leaderboard) -> None:
    assert board.contenders == [0, 1]
    assert board.optimism == pytest.approx(0.56419 * (board.study.spread or 0) / sqrt(6), rel=1e-3)


def test_beside_a_baseline_there_are_fewer_tests_and_no_places(four_levels: Study) -> None:
    board = rank(four_levels, four_levels.variants[3])
    assert board.family == 3 and {row.place for row in board.rows} == {None}


def test_a_single_run_is_tested_with_the_spread_of_the_other_variants() -> None:
    mixed = study({"0": [99.4, 99.3, 99.35], "0.1": [99.3], "0.2": [90.0]})
    assert [(row.place, row.tied) for row in rank(mixed).rows] == [(1, True), (1, True), (3, False)]


@pytest.fixture(scope="module")
def single_runs() -> Leaderboard:
    return rank(study({level: [99.3 - level / 100] for level in range(30)}))


def test_single_runs_have_no_places(single_runs: Leaderboard) -> None:
    assert {row.place for row in single_runs.rows} == {None} and len(single_runs.contenders) == 30


def test_the_seeds_needed_allow_for_all_comparisons_of_the_leaderboard(single_runs: Leaderboard) -> None:
    comparison = single_runs.rows[10].against
    assert comparison is not None and comparison.verdict == "unknown"
    assert comparison.seeds_needed == 20  # 7 for this pair alone, but the leaderboard would test 435


@pytest.fixture(scope="module")
def one_and_three() -> Leaderboard:
    return rank(study({"0": [99.40], "0.1": [99.1, 99.2, 99.3]}))


def test_the_interval_of_a_single_run_is_wilsons(one_and_three: Leaderboard) -> None:
    score = one_and_three.rows[0].score
    assert (round(score.low, 2), round(score.high, 2)) == (99.23, 99.53)


def test_the_interval_of_several_runs_is_that_of_t(one_and_three: Leaderboard) -> None:
    assert one_and_three.rows[1].score.half_width == pytest.approx(0.1 / sqrt(3) * 4.3027, rel=1e-4)


def test_a_dominated_variant_may_be_pareto_optimal_unless_it_is_significantly_worse() -> None:
    runs = [
        *replicates({"0": [99.0, 99.1, 99.05]}, params=1000),
        *replicates({"0.1": [99.2, 99.4, 99.3]}, params=5000),
        *replicates({"0.2": [99.25, 99.35, 99.2]}, params=6000),  # not significantly worse than the one before
        *replicates({"0.3": [97.0, 97.1, 97.2]}, params=7000),  # significantly worse
    ]
    (variants,) = studies_of(runs)
    points = points_of(rank(variants), "params")
    assert [(point.cost, point.on_front, point.maybe_on_front) for point in points] == [
        (1000, True, False), (5000, True, False), (6000, False, True), (7000, False, False),
    ]  # fmt: skip
