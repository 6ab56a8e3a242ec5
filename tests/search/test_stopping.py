"""Early stopping: which trials train on."""

import random

import pytest

from archsearch.search.stopping import Halving, MedianStopping, Standing, Step, Stopping, rungs_of


def steps(rule: Stopping, *, is_last: bool = False) -> list[Step]:
    """All steps that `rule` names now."""
    return list(iter(lambda: rule.next_step(is_last=is_last), None))


@pytest.mark.parametrize(
    ("first", "epochs", "reduction", "expected"),
    [
        (1, 8, 3, (1, 3, 8)),
        (1, 9, 3, (1, 3, 9)),
        (1, 4, 3, (1, 4)),
        (2, 8, 2, (2, 4, 8)),
        (1, 1, 3, (1,)),
        (9, 4, 3, (4,)),
    ],
)
def test_rungs(first: int, epochs: int, reduction: int, expected: tuple[int, ...]) -> None:
    assert rungs_of(first, epochs, reduction) == expected


def test_one_in_three_goes_on_and_the_best_first() -> None:
    rule = Halving((1, 3, 9), 3)
    for trial, accuracy in enumerate([90, 95, 91]):
        rule.record(trial, 1, Standing(accuracy))
    assert steps(rule) == [Step(1, 3)]
    for trial, accuracy in enumerate([99, 80, 70], 3):
        rule.record(trial, 1, Standing(accuracy))
    assert steps(rule) == [Step(3, 3)]


def test_the_highest_rung_comes_first() -> None:
    rule = Halving((1, 3, 9), 3)
    for trial in range(9):
        rule.record(trial, 1, Standing(trial))
    first = steps(rule)
    assert [step.trial for step in first] == [8, 7, 6]
    for step in first:
        rule.record(step.trial, 3, Standing(step.trial))
    rule.record(9, 1, Standing(100))
    rule.record(10, 1, Standing(0))
    rule.record(11, 1, Standing(0))
    assert steps(rule) == [Step(8, 9), Step(9, 3)]


def test_at_the_end_the_share_is_rounded_up_so_that_one_trial_trains_fully() -> None:
    rule = Halving((1, 3), 3)
    rule.record(0, 1, Standing(90))
    assert steps(rule) == []
    assert steps(rule, is_last=True) == [Step(0, 3)]


def test_a_small_network_is_not_stopped_by_a_large_one() -> None:
    rule = Halving((1, 3), 2)
    standings = [Standing(99, (5000,)), Standing(98, (100,)), Standing(97, (5000,)), Standing(96, (6000,))]
    for trial, standing in enumerate(standings):
        rule.record(trial, 1, standing)
    assert {step.trial for step in steps(rule)} == {0, 1}


def test_what_went_on_before_an_interruption_does_not_go_on_again() -> None:
    """The records alone say so: a trial on a higher rung has left the lower ones."""
    rule = Halving((1, 3, 9), 3)
    for trial in range(3):
        rule.record(trial, 1, Standing(trial))
    rule.record(2, 3, Standing(2))
    assert steps(rule) == []


def test_no_trial_is_lost_and_none_goes_on_twice() -> None:
    """In any order of arrival, a search ends with the steps of its rungs, one for each trial and rung."""
    chance = random.Random(0)
    rule = Halving((1, 2, 4, 8), 2)
    training = [Step(trial, 1) for trial in range(64)]
    trained: list[Step] = []
    while training:
        step = training.pop(chance.randrange(len(training)))
        trained.append(step)
        rule.record(step.trial, step.until, Standing(step.trial + chance.gauss(0, 4), (chance.random(),)))
        training += steps(rule)
    assert len(set(trained)) == len(trained)
    per_rung = [sum(step.until == rung for step in trained) for rung in (1, 2, 4, 8)]
    assert per_rung[0] == 64 and 32 <= per_rung[1] <= 48 and per_rung[1] // 2 <= per_rung[2]


def test_the_median_rule_stops_the_worse_half_once_there_are_enough() -> None:
    rule = MedianStopping((1, 2, 3, 4), least=3)
    for trial in range(3):
        rule.record(trial, 1, Standing(trial))
    assert [step.trial for step in steps(rule)] == [0, 1, 2]
    rule.record(3, 1, Standing(0.5))
    rule.record(4, 1, Standing(1.5))
    assert steps(rule) == [Step(4, 2)]
    rule.record(4, 4, Standing(3))
    assert steps(rule) == []
