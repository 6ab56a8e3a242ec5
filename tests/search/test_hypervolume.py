"""Hypervolume, and which rows of a front cover most of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.search.hypervolume import covering, hypervolume


def test_of_a_small_example() -> None:
    losses = np.array([[1.0, 3.0], [2.0, 1.0], [2.5, 2.5], [5.0, 0.0]])
    assert hypervolume(losses, np.array([4.0, 4.0])) == 3 * 1 + 2 * 2  # the last row is beyond the reference
    assert hypervolume(losses[:0], np.array([4.0, 4.0])) == 0
    assert hypervolume(np.array([[1.0], [3.0]]), np.array([4.0])) == 3


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@given(data=st.data())
def test_it_is_the_number_of_dominated_cells_of_a_grid(objectives: int, data: st.DataObject) -> None:
    side = 4
    row = st.tuples(*[st.integers(0, side)] * objectives)
    losses = np.array(data.draw(st.lists(row, min_size=1, max_size=6)), float)
    cells = itertools.product(range(side), repeat=objectives)
    dominated = sum(bool((losses <= cell).all(axis=1).any()) for cell in cells)
    assert hypervolume(losses, np.full(objectives, float(side))) == dominated


def test_a_row_that_is_hardly_better_anywhere_is_chosen_last() -> None:
    accuracies, params = [87.2, 86.0, 50.8, 35.6], [5000, 3000, 500, 100]
    front = np.column_stack([np.negative(accuracies), params]).astype(float)
    assert [covering(front, limit) for limit in (1, 2, 3, 9)] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert covering(front[:0], 3) == [] and covering(front, 0) == []
