"""What a search may spend."""

import pytest

from archsearch.config.search import Budget
from archsearch.search.spending import Spending


@pytest.mark.parametrize(
    ("budget", "spent", "may_begin", "may_train"),
    [
        (Budget(trials=3), (2, 100, 100.0), True, True),
        (Budget(trials=3), (3, 0, 0.0), False, True),
        (Budget(trials=None, epochs=10), (100, 9, 0.0), True, True),
        (Budget(trials=None, epochs=10), (1, 10, 0.0), False, False),
        (Budget(trials=None, seconds=60), (1, 1, 60.0), False, False),
        (Budget(trials=5, epochs=10, seconds=60), (4, 9, 59.0), True, True),
    ],
)
def test_whichever_is_used_up_first_ends_the_search(
    budget: Budget, spent: tuple[int, int, float], may_begin: bool, may_train: bool
) -> None:
    spending = Spending(budget, *spent)
    assert (spending.may_begin, spending.may_train) == (may_begin, may_train)


def test_the_fraction_is_that_of_what_is_used_up_first() -> None:
    assert Spending(Budget(trials=10, epochs=100), trials=2, epochs=50).fraction == 0.5
    assert Spending(Budget(trials=10), trials=20).fraction == 1.0


def test_it_is_described_with_its_limits() -> None:
    spending = Spending(Budget(trials=10, seconds=600), trials=2, epochs=7, seconds=65)
    assert spending.describe() == "2 of 10 trials, 7 epochs, 65 s of 10 min"
