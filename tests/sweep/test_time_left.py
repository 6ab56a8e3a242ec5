"""The time that a sweep still takes."""

import pytest

from archsearch.sweep.time_left import TimeLeft


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def train(left: TimeLeft, clock: Clock, number: int, *, slowness: float, until: float = 1.0) -> None:
    """Let a run train, `slowness` times as long as estimated, after 5 seconds in which it starts."""
    left.started(number)
    clock.now += 5
    left.progressed(number, 0.0)
    clock.now += slowness * left.seconds[number] * until
    left.progressed(number, until)


def test_until_the_workers_train_their_start_is_counted() -> None:
    now = [0.0]
    left = TimeLeft({0: 60.0}, 1, lambda: now[0], start_seconds=8.0)
    assert left.seconds_left() == 68
    now[0] = 5.0
    assert left.seconds_left() == 63
    now[0] = 20.0
    assert left.seconds_left() == 60


def test_a_run_that_is_nearly_trained_still_takes_a_second() -> None:
    left = TimeLeft({0: 60.0}, 1)
    left.started(0)
    left.progressed(0, 1.0)
    assert left.seconds_left() == 1


def test_before_anything_is_measured_the_plan_counts() -> None:
    assert TimeLeft({0: 60.0, 1: 60.0, 2: 30.0}, 2).seconds_left() == 90
    assert TimeLeft({0: 100.0, 1: 10.0, 2: 10.0}, 2).seconds_left() == 100
    assert TimeLeft({}, 2).seconds_left() == 0


def test_the_start_of_a_run_is_not_measured() -> None:
    clock = Clock()
    left = TimeLeft({0: 60.0, 1: 60.0}, 1, clock)
    train(left, clock, 0, slowness=1, until=0.25)
    assert left.seconds_left() == pytest.approx(45 + 60)


def test_the_plan_is_corrected_by_what_is_measured() -> None:
    clock = Clock()
    left = TimeLeft(dict.fromkeys(range(4), 60.0), 1, clock)
    train(left, clock, 0, slowness=2)
    left.ended(0, finished=True, again=False)
    assert left.seconds_left() == pytest.approx(2 * 180, rel=0.1)


def test_the_first_seconds_of_a_slow_run_do_not_frighten() -> None:
    clock = Clock()
    left = TimeLeft({0: 120.0}, 1, clock)
    train(left, clock, 0, slowness=20, until=0.001)
    assert left.seconds_left() < 200


def test_a_run_that_goes_on_counts_only_what_it_trains() -> None:
    clock = Clock()
    left = TimeLeft({0: 60.0}, 1, clock)
    left.started(0)
    left.progressed(0, 0.9)
    clock.now = 3.0
    left.progressed(0, 0.95)
    assert left.slowness == pytest.approx(1)
    assert left.seconds_left() == pytest.approx(3)


def test_runs_that_train_as_one_network_end_together() -> None:
    clock = Clock()
    left = TimeLeft(dict.fromkeys(range(4), 60.0), 1, clock)
    for number in range(4):
        left.started(number)
        left.progressed(number, 0.5)
    assert left.seconds_left() == 30


def test_a_failed_run_has_nothing_left_unless_it_begins_again() -> None:
    left = TimeLeft({0: 60.0, 1: 60.0}, 1)
    left.started(0)
    left.ended(0, finished=False, again=True)
    assert left.done == 0 and left.seconds_left() == 120
    left.started(0)
    left.ended(0, finished=False, again=False)
    assert left.done == 0.5 and left.seconds_left() == 60
