"""The loop: what is trained next, what counts against the budget, what the study learns, and how it goes on."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archsearch.config.search import Budget
from archsearch.search.spending import Spending
from archsearch.search.stopping import Halving, MedianStopping, NoStopping, Stopping
from archsearch.sweep.worker import AttemptEnd
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
    composed = searching(*MIXED)
    search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), Budget(trials=27), objectives=objectives)
    search.run()
    reached = Counter(until for _, until in search.steps)
    assert reached[1] == 27 and 9 <= reached[3] <= 14 and 3 <= reached[9] <= 6
    assert search.spending.epochs == 27 + 2 * reached[3] + 6 * reached[9] < 27 * 9 / 2
    assert search.spending.trials == 27


def test_the_best_trial_is_fully_trained(tmp_path: Path) -> None:
    composed = searching(*MIXED)
    search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), Budget(trials=27))
    search.run()
    best = max(search.begun, key=lambda proposal: search.curve(proposal, 9))
    assert search.loop.front()[0] == best.number and search.loop.best(1) == [best]


def test_the_front_has_no_dominated_trial(tmp_path: Path) -> None:
    composed = searching(*MIXED)
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
    composed = searching(*MIXED)
    search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), budget)
    search.run()
    assert trials is None or search.spending.trials == trials
    assert search.spending.epochs in epochs


def test_a_space_without_other_networks_ends_the_search(tmp_path: Path) -> None:
    composed = searching("model.dropout=0,0.1,0.2")
    search = simulate(composed, tmp_path, NoStopping((2,)), Budget(trials=100))
    search.run()
    assert search.spending.trials == 3 and search.loop.exhausted


def test_the_study_knows_of_each_trial_what_it_has_reached_last(tmp_path: Path) -> None:
    composed = searching(*MIXED)
    search = simulate(composed, tmp_path, Halving((1, 3), 3), Budget(trials=9))
    search.run()
    trials = search.loop.proposer.study.trials
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    for proposal in search.begun:
        epoch = max(until for number, until in search.steps if number == proposal.number)
        assert trials[proposal.number].values == [search.curve(proposal, epoch)]
    assert {member.number: member.losses for member in search.loop.proposer.members()} == {
        number: (-trial.values[0],) for number, trial in enumerate(trials)
    }


@pytest.mark.parametrize("sampler", ["random", "tpe", "evolution"])
@pytest.mark.parametrize("stopping", [lambda: Halving((1, 3, 9), 3), lambda: MedianStopping(range(1, 6), 2)])
def test_a_search_that_died_goes_on_and_trains_nothing_twice(tmp_path: Path, stopping: Any, sampler: str) -> None:
    steps: list[tuple[int, int]] = []
    composed = searching(*MIXED)
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


def test_a_trial_that_was_training_on_goes_on_although_others_have_overtaken_it(tmp_path: Path) -> None:
    accuracies = [95.0, 90.0, 91.0, 99.0, 98.0]

    def begin() -> Simulation:
        search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), Budget(trials=5))
        search.curve = lambda proposal, epoch: accuracies[proposal.number] + epoch / 100
        return search

    composed = searching(*MIXED)
    search = begin()
    search.run(workers=1, most_steps=3)
    overtaken = search.loop.next_team()
    search.run(workers=1, most_steps=5)
    assert overtaken is not None and overtaken[0].number == 0
    search.leave(overtaken[0], 2, "RUNNING")
    search = begin()
    search.loop.resume(search.loop.proposer.proposals())
    search.run(workers=1)
    assert (0, 3) in search.steps


def test_a_trial_that_was_interrupted_on_its_rung_trains_on_if_it_is_among_the_best(tmp_path: Path) -> None:
    def begin() -> Simulation:
        search = simulate(composed, tmp_path, Halving((1, 3), 3), Budget(trials=3))
        search.curve = lambda proposal, epoch: 90.0 + proposal.number + epoch / 100
        return search

    composed = searching(*MIXED)
    search = begin()
    search.run(workers=1, most_steps=2)
    team = search.loop.next_team()
    assert team is not None and team[0].number == 2
    search.leave(team[0], 1, "KILLED")
    search = begin()
    search.loop.resume(search.loop.proposer.proposals())
    search.run(workers=1)
    assert search.steps == [(2, 3)]


def test_a_trial_that_fails_while_it_trains_on_leaves_its_place_and_stays_failed(tmp_path: Path) -> None:
    def begin(trials: int) -> Simulation:
        search = simulate(composed, tmp_path, Halving((1, 3), 3), Budget(trials=trials))
        search.curve = lambda proposal, epoch: 99.0 - proposal.number + epoch / 100
        return search

    composed = searching(*MIXED)
    search = begin(4)
    search.run(workers=1, most_steps=3)
    team = search.loop.next_team()
    assert team is not None and (team[0].number, team[0].until) == (0, 3)
    search.leave(team[0], 2, "FAILED")
    search.loop.ended(team[0], AttemptEnd(0, "FAILED", "diverged"))
    search.run(workers=1)
    assert search.steps[3:] == [(3, 1), (1, 3)] and search.loop.counts()["FAILED"] == 1
    search = begin(6)
    search.loop.resume(search.loop.proposer.proposals(), {0})
    search.run(workers=1)
    assert {trial for trial, _ in search.steps} == {4, 5, 2}


def test_a_trial_does_not_train_on_while_it_is_sent_to_mlflow(tmp_path: Path) -> None:
    def begin() -> Simulation:
        search = simulate(composed, tmp_path, Halving((1, 3), 3), Budget(trials=3))
        search.curve = lambda proposal, epoch: 99.0 - proposal.number + epoch / 100
        return search

    composed = searching(*MIXED)
    search = begin()
    search.run(workers=1, most_steps=2)
    path = tmp_path / "0" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tracking": {"complete": False}}))
    search = begin()
    search.loop.resume(search.loop.proposer.proposals(), sends=True)
    sending, third = search.loop.next_team(), search.loop.next_team()
    assert sending is not None and third is not None and (sending[0].number, third[0].number) == (0, 2)
    search.loop.ended(third[0], AttemptEnd(2, "STOPPED", result=search.leave(third[0], 1, "STOPPED")))
    assert search.loop.next_team() is None
    search.loop.ended(sending[0], AttemptEnd(0, "STOPPED", result=search.leave(sending[0], 1, "STOPPED")))
    team = search.loop.next_team()
    assert team is not None and (team[0].number, team[0].until) == (0, 3)


def test_the_epochs_of_running_trials_count_before_another_one_begins(tmp_path: Path) -> None:
    composed = searching(*MIXED)
    search = simulate(composed, tmp_path, NoStopping((4,)), Budget(trials=None, epochs=9))
    search.run(workers=5)
    assert search.spending.epochs == 12


def test_one_objective_has_a_front_of_the_best_trial_and_finalists_by_merit(tmp_path: Path) -> None:
    composed = searching(*MIXED)
    search = simulate(composed, tmp_path, NoStopping((2,)), Budget(trials=9))
    search.run()
    order = sorted(search.begun, key=lambda proposal: -search.curve(proposal, 2))
    assert search.loop.front() == [order[0].number]
    assert search.loop.best(3) == order[:3]
    assert search.loop.most_accurate() == (search.curve(order[0], 2), order[0].number)


def test_finalists_are_different_networks(tmp_path: Path) -> None:
    composed = searching("model.dropout=0,0.1")
    search = simulate(composed, tmp_path, NoStopping((2,)), Budget(trials=8), duplicates="reseed")
    search.run()
    assert len(search.begun) == 8
    assert len({proposal.identity for proposal in search.loop.best(5)}) == len(search.loop.best(5)) == 2


def test_trials_are_counted_and_not_their_steps(tmp_path: Path) -> None:
    composed = searching(*MIXED)
    search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), Budget(trials=9))
    search.run(most_steps=6)
    search = simulate(composed, tmp_path, Halving((1, 3, 9), 3), Budget(trials=9))
    search.loop.resume(search.loop.proposer.proposals())
    search.run()
    counts = search.loop.counts()
    assert counts["FINISHED"] >= 1 and counts["FINISHED"] + counts["STOPPED"] == 9 and counts["FAILED"] == 0


def test_a_trial_that_the_median_rule_stopped_stays_stopped_after_an_interruption(tmp_path: Path) -> None:
    def begin(trials: int) -> Simulation:
        search = simulate(composed, tmp_path, MedianStopping(range(1, 5), 2), Budget(trials=trials))
        search.curve = lambda proposal, epoch: float(proposal.number + epoch)
        return search

    composed = searching(*MIXED)
    search = begin(12)
    search.run(workers=4)
    reached = {p.number: max(until for trial, until in search.steps if trial == p.number) for p in search.begun}
    assert min(reached.values()) < 4
    search = begin(12)
    search.loop.resume(search.loop.proposer.proposals())
    search.run()
    assert search.steps == []
