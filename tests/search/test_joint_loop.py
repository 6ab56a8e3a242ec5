"""Processes that share a study, simulated in one: they take turns, vanish, come back, and lose their database."""

from collections import Counter
from collections.abc import Container, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import OperationalError

from archsearch.config.search import Budget
from archsearch.search.joining import agreed_precision
from archsearch.search.joint_loop import JointLoop
from archsearch.search.shared import Shared
from archsearch.search.spending import Spending
from archsearch.search.stopping import Halving
from archsearch.sweep.worker import Job
from tests.support.searches import MIXED, Composed, searching
from tests.support.simulated import Simulation

LEASE = 20.0
TRIALS = 18


class Storage(InMemoryStorage):
    """Optuna's storage in memory, which can be away like a database."""

    is_away = False

    def check(self) -> None:
        if self.is_away:
            raise OperationalError("SELECT 1", None, Exception("connection refused"))

    def set_trial_state_values(self, *arguments: Any, **more: Any) -> bool:
        self.check()
        return super().set_trial_state_values(*arguments, **more)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self.check()
        super().set_study_user_attr(study_id, key, value)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        self.check()
        return super().get_study_user_attrs(study_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        self.check()
        return super().get_all_trials(study_id, deepcopy, states)


class Place:
    """A study in a storage, and the time, which passes with every turn."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.storage = folder, 0.0, Storage()
        self.study = optuna.create_study(storage=self.storage, direction="maximize")
        self.composed: Composed = searching(*MIXED)
        self.database: Any = SimpleNamespace(
            lock=nullcontext(), storage=SimpleNamespace(refresh=lambda attributes: None, reset=lambda: None)
        )

    def clock(self) -> float:
        return self.now

    def process(self, name: str) -> "Process":
        """A process that begins, or goes on, in the folder `name`."""
        process = Process(self, name)
        process.shared.live()
        process.loop.resume(process.loop.proposer.proposals())
        return process

    def run(self, *processes: "Process", turns: int = 1000) -> None:
        """Let processes take turns, until the search is over for all of them."""
        for _ in range(turns):
            if all(process.is_over for process in processes):
                return
            for process in processes:
                self.now += 1.1
                process.turn()

    def states(self) -> Counter[str]:
        trials = self.study.get_trials()
        return Counter(trial.state.name for trial in trials if "proposal" in trial.user_attrs)


class Process(Simulation):
    """One of the processes, with one worker."""

    loop: JointLoop

    def __init__(self, place: Place, name: str) -> None:
        proposer = place.composed.proposer("random", place.study, process=name)
        stopping = Halving((1, 3, 9), 3)
        super().__init__(proposer, stopping, Spending(Budget(trials=TRIALS)), place.folder / name)
        self.place = place
        self.shared = Shared(place.database, place.study, name, f"host:{name}", LEASE, place.clock)
        self.loop = JointLoop(
            proposer, stopping, 9, self.spending, self.folder_of, self._job, self.begun.append,
            shared=self.shared, clock=place.clock,
        )  # fmt: skip
        self.running: Job | None = None
        self.is_over = False

    def turn(self) -> None:
        """Live, and either take something to train or end what is training."""
        if not self.place.storage.is_away:
            self.shared.live()
        self.loop.look()
        if self.running is not None:
            job, self.running = self.running, None
            self.loop.ended(job, self._end(job))
        elif not self.is_over:
            team = self.loop.next_team()
            self.is_over = team is None
            self.running = team[0] if team else None


def steps_of(*processes: Process) -> Sequence[tuple[int, int]]:
    steps = [step for process in processes for step in process.steps]
    assert len(set(steps)) == len(steps)  # nothing is trained twice
    return steps


def test_two_processes_share_the_budget_the_ranks_and_the_end(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    place.run(first, second)
    reached = Counter(until for _, until in steps_of(first, second))
    assert reached[1] == TRIALS and 6 <= reached[3] <= 10 and 2 <= reached[9] <= 5
    assert min(len(first.begun), len(second.begun)) >= TRIALS / 3
    identities = {proposal.identity for process in (first, second) for proposal in process.begun}
    assert len(identities) == TRIALS and place.states() == {"COMPLETE": TRIALS}
    assert first.spending.epochs == second.spending.epochs == reached[1] + 2 * reached[3] + 6 * reached[9]
    assert first.loop.front() == second.loop.front() and first.loop.best(3) == second.loop.best(3)
    budget = first.loop.budget
    assert first.shared.trains_finalists(budget) != second.shared.trains_finalists(budget)


def test_what_a_vanished_process_has_begun_is_given_up_after_the_lease(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    place.run(first, second, turns=9)
    while first.running is None or first.running.until != 1:
        place.run(first, second, turns=1)
    vanished = place.now
    place.run(second, turns=10)
    assert place.states()["FAIL"] == 0
    place.run(second)
    assert place.now - vanished > LEASE
    assert place.states() == {"FAIL": 1, "COMPLETE": TRIALS - 1}
    assert place.study.get_trials()[first.running.number].state.name == "FAIL"
    assert any(until == 9 for _, until in second.steps)  # the trials of the other one take no place
    assert second.shared.trains_finalists(second.loop.budget)


def test_a_process_that_is_back_within_the_lease_goes_on_with_its_trial(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    while first.running is None or first.running.until != 3:
        place.run(first, second, turns=1)
    first.leave(first.running, 2, "RUNNING")
    place.run(second, turns=3)
    again = place.process("a")
    place.run(again, second)
    assert (first.running.number, 3) in again.steps and place.states() == {"COMPLETE": TRIALS}
    steps_of(first, again, second)


def test_a_process_that_is_back_later_finds_its_trial_failed_and_the_others_going_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    place.run(first, second, turns=3)
    while first.running is None or first.running.until != 1:
        place.run(first, second, turns=1)
    lost = first.running.number
    place.now += 0.1
    place.run(second, turns=25)
    again = place.process("a")
    place.run(again, second)
    assert place.states() == {"FAIL": 1, "COMPLETE": TRIALS - 1}
    assert again.loop.counts()["FAILED"] == second.loop.counts()["FAILED"] == 1
    assert lost not in {number for number, _ in again.steps}
    steps_of(first, again, second)


def test_while_the_database_is_away_nothing_is_lost_or_told_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    place.run(first, second, turns=8)
    while first.running is None:
        place.run(first, second, turns=1)
    ending = first.running.number, first.running.until
    place.storage.is_away = True
    place.run(first, second, turns=40)  # longer than the lease
    assert ending in first.steps and not any(process.running for process in (first, second))
    assert not any(process.is_over for process in (first, second))
    place.storage.is_away = False
    place.run(first, second)
    steps_of(first, second)
    assert place.states() == {"COMPLETE": TRIALS}
    assert first.spending.epochs == second.spending.epochs
    assert caplog.text.count("does not answer") == 2  # each of them says so once


def test_a_larger_budget_goes_on_with_an_ended_search(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.run(place.process("a"))
    process = Process(place, "a")
    process.spending.budget = Budget(trials=TRIALS + 3)
    process.loop.resume(process.loop.proposer.proposals())
    place.run(process)
    assert len(process.begun) == 3 and place.states() == {"COMPLETE": TRIALS + 3}


def test_a_process_without_time_leaves_the_search_to_the_others(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    place.run(first, second, turns=6)
    first.spending.budget = Budget(trials=TRIALS, seconds=100)
    first.spending.seconds = 101
    place.run(first, second, turns=2)
    assert first.is_over and not first.running
    with first.loop.closing() as trains:
        assert not trains
    place.run(second)
    assert place.states() == {"COMPLETE": TRIALS} and second.shared.trains_finalists(second.loop.budget)
    with second.loop.closing() as trains:
        assert trains


def test_the_finalists_of_a_process_that_has_left_are_done(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    place.run(first, second)
    second.shared.refresh()
    ended_by = second.shared.ended_by(first.loop.budget)
    ender, other = (first, second) if ended_by == "a" else (second, first)
    with ender.loop.closing() as trains:
        assert trains
    with other.loop.closing() as trains:
        assert not trains
    assert other.shared.is_gone(str(ended_by))


def test_another_process_trains_the_finalists_of_one_that_died_over_them(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.run(place.process("a"))
    late = place.process("b")
    place.run(late)

    def pause(seconds: float) -> None:
        place.now += seconds

    began = place.now
    assert late.shared.trains_finalists(late.loop.budget, pause) and place.now - began > LEASE / 2
    late.shared.refresh()
    assert late.shared.ended_by(late.loop.budget) == "b"


def test_all_processes_compute_in_the_precision_of_the_first(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first, second = place.process("a"), place.process("b")
    assert agreed_precision(first.shared, "bfloat16") == "bfloat16"
    assert agreed_precision(second.shared, "float32") == "bfloat16"
