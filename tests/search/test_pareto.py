"""Fronts and crowding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archsearch.search.pareto import best_first, crowding, fronts


def test_fronts_of_a_small_example() -> None:
    losses = np.array([[1.0, 5], [2, 2], [5, 1], [3, 3], [6, 6], [2, 2]])
    assert [sorted(front.tolist()) for front in fronts(losses)] == [[0, 1, 2, 5], [3], [4]]


def test_crowding_of_a_small_example() -> None:
    """The middle point lies between neighbours that are 0.75 and 1 of the widths apart."""
    distances = crowding(np.array([[0.0, 4], [1, 2], [3, 1], [4, 0]]))
    assert distances.tolist() == [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf]


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=30))
def test_each_row_is_in_the_front_that_its_longest_chain_says(rows: list[tuple[int, ...]]) -> None:
    """A row is in front k if the longest chain of rows that dominate each other and end with it has k before it."""
    losses = np.array(rows, float)

    def dominates(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
        return a != b and all(x <= y for x, y in zip(a, b, strict=True))

    def depth(row: tuple[int, ...]) -> int:
        return max((1 + depth(other) for other in set(rows) if dominates(other, row)), default=0)

    for number, front in enumerate(fronts(losses)):
        assert {depth(rows[index]) for index in front} == {number}
    assert sorted(best_first(losses)) == list(range(len(rows)))


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 2), max_size=30))
def test_two_objectives_have_the_fronts_of_three_of_which_two_are_the_same(rows: list[tuple[int, ...]]) -> None:
    losses = np.array(rows, float).reshape(-1, 2)
    of_three = fronts(losses[:, [0, 1, 1]])
    assert [front.tolist() for front in fronts(losses)] == [front.tolist() for front in of_three]


def test_one_objective_is_sorted() -> None:
    assert best_first(np.array([[3.0], [1], [2], [1]])) == [1, 3, 2, 0]
