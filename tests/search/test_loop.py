"""The loop: what is trained next, what counts against the budget, what the study learns, and how it goes on."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archsearch.config.search import Budget
from archsearch.search.spending import Spending
from archsearch.search.stopping import Halving, MedianStopping, NoStopping, Stopping
from tests.support.searches import MIXED, Composed, searching
from tests.support.simulated import Simulation

BOTH = ("val/accuracy", "params")


def simulate(
    composed: Composed, folder: Path, stopping: Stopping, budget: Budget, sampler: str = "random", **options: Any
) -> Simulation:
    proposer = composed.proposer(sampler, folder / "study.log", **options)
    return Simulation(proposer, stopping, Spending(budget), folder)


@pytest.mark.parametrize("objectives", [("val/accuracy",), BOTH])
def test_halving_trains_a_third_on_and_spends_far_fewer_epochs(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    with searching(*MIXED) as composed:
        search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), Budget(trials=27), objectives=objectives)
        search.run()
    reached = Counter(until for _, until in search.steps)
    assert reached[1] == 27 and 9 <= reached[3] <= 14 and 3 <= reached[9] <= 6
    assert search.spending.epochs == 27 + 2 * reached[3] + 6 * reached[9] < 27 * 9 / 2
    assert search.spending.trials == 27


def test_the_best_trial_is_fully_trained(tmp_path: Path) -> None:
    with searching(*MIXED) as composed:
        search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), Budget(trials=27))
        search.run()
    best = max(search.begun, key=lambda proposal: search.curve(proposal, 9))
    assert search.loop.front()[0] == best.number and search.loop.best(1) == [best]


def test_the_front_has_no_dominated_trial(tmp_path: Path) -> None:
    with searching(*MIXED) as composed:
        search = simulate(composed, tmp_path, NoStopping((2,)), Budget(trials=20), objectives=BOTH)
        search.run()
    front = [next(p for p in search.begun if p.number == number) for number in search.loop.front()]
    points = [(search.curve(proposal, 2), proposal.params) for proposal in front]
    assert points == sorted(points, reverse=True) and len({params for _, params in points}) == len(points)
    for proposal in search.begun:
        point = search.curve(proposal, 2), proposal.params
        assert any(accuracy >= point[0] and params <= point[1] for accuracy, params in points)
    few = search.loop.best(2)
    assert len(few) == min(2, len(front)) and {proposal.number for proposal in few} <= set(search.loop.front())


@pytest.mark.parametrize(
    ("budget", "trials", "epochs"),
    [(Budget(trials=None, epochs=10), None, range(10, 19)), (Budget(trials=4, epochs=1000), 4, range(4, 37))],
)
def test_what_is_used_up_first_ends_the_search(
    tmp_path: Path, budget: Budget, trials: int | None, epochs: range
) -> None:
    with searching(*MIXED) as composed:
        search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), budget)
        search.run()
    assert trials is None or search.spending.trials == trials
    assert search.spending.epochs in epochs


def test_a_space_without_other_networks_ends_the_search(tmp_path: Path) -> None:
    with searching("model.dropout=0,0.1,0.2") as composed:
        search = simulate(composed, tmp_path, NoStopping((2,)), Budget(trials=100))
        search.run()
    assert search.spending.trials == 3 and search.loop.exhausted


def test_the_study_learns_of_stopped_trials_what_they_have_reached(tmp_path: Path) -> None:
    with searching(*MIXED) as composed:
        search = simulate(composed, tmp_path, Halving((1, 3), 3), Budget(trials=9))
        search.run()
    trials = search.loop.proposer.study.trials
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    for proposal in search.begun:
        epoch = max(until for number, until in search.steps if number == proposal.number)
        told = trials[proposal.number].values[0]
        assert told in (search.curve(proposal, 1), search.curve(proposal, epoch))


@pytest.mark.parametrize("sampler", ["random", "tpe", "evolution"])
@pytest.mark.parametrize("stopping", [lambda: Halving((1, 3, 9), 3), lambda: MedianStopping(range(1, 6), 2)])
def test_a_search_that_died_goes_on_and_trains_nothing_twice(tmp_path: Path, stopping: Any, sampler: str) -> None:
    steps: list[tuple[int, int]] = []
    with searching(*MIXED) as composed:
        for most in (5, 9, None):
            search = simulate(composed, tmp_path, stopping(), Budget(trials=18), sampler)
            search.loop.resume(search.loop.proposer.proposals())
            search.run(most_steps=most)
            steps += search.steps
    assert Counter(steps).most_common(1)[0][1] == 1
    assert {trial for trial, _ in steps} == set(search.loop.proposer.proposals()) and search.spending.trials == 18
    trained = {trial: max(until for number, until in steps if number == trial) for trial, _ in steps}
    assert search.spending.epochs == sum(trained.values())
    assert not search.loop.proposer.running()
