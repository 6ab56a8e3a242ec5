"""The samplers, each on spaces and studies in memory."""

from random import Random

import pytest
from optuna.samplers import TPESampler

from archsearch.config.search import BlockLimits
from archsearch.search.candidate import Candidate, Checked, Member
from archsearch.search.domains import Choice
from archsearch.search.draws import Draws
from archsearch.search.grammar import Setting
from archsearch.search.objectives import best_first, dominates
from archsearch.search.samplers.evolution import Evolution
from archsearch.search.samplers.local_search import LocalSearch
from archsearch.search.space import Space
from tests.support.searches import MIXED, Composed, identities, searching, train

LEARNING = ("tpe", "nsga2", "evolution", "local_search")


@pytest.fixture
def mixed() -> Composed:
    """A space of settings, most of which is over the budget."""
    return searching(*MIXED, "constraints.max_params=12000")


@pytest.fixture
def blocks() -> Composed:
    return searching("constraints.max_params=13000", blocks=BlockLimits(most_blocks=10))


@pytest.mark.parametrize("sampler", [*LEARNING, "random", "gp"])
def test_all_proposals_are_different_and_within_the_budget(mixed: Composed, sampler: str) -> None:
    proposals = train(mixed.proposer(sampler), 11 if sampler == "gp" else 30)
    assert len(identities(proposals)) == len(proposals) == (11 if sampler == "gp" else 30)
    assert all(0 < proposal.params <= 12_000 for proposal in proposals)


@pytest.mark.parametrize("sampler", LEARNING)
def test_a_sampler_learns(mixed: Composed, sampler: str) -> None:
    dropouts = [float(proposal.values["model.dropout"]) for proposal in train(mixed.proposer(sampler), 80)]
    assert sum(dropouts[60:]) / 20 < sum(dropouts[:20]) / 20


@pytest.mark.parametrize("sampler", [*LEARNING, "random", "gp"])
def test_several_objectives(mixed: Composed, sampler: str) -> None:
    proposer = mixed.proposer(sampler, objectives=("val/accuracy", "params", "epoch_seconds"))
    assert len(train(proposer, 15)) == 15 and proposer.study.best_trials


def test_tpe_chooses_all_settings_at_once(mixed: Composed, monkeypatch: pytest.MonkeyPatch) -> None:
    proposer = mixed.proposer("tpe", objectives=("val/accuracy", "params"))
    train(proposer, 10)  # at random
    monkeypatch.setattr(TPESampler, "sample_independent", lambda *_: pytest.fail("a setting is chosen by itself"))
    assert len(train(proposer, 5)) == 5


@pytest.mark.parametrize("sampler", [*LEARNING, "random"])
def test_the_same_seed_gives_the_same_proposals(mixed: Composed, sampler: str) -> None:
    def proposed(seed: int) -> list[tuple[str, ...]]:
        return [proposal.overrides for proposal in train(mixed.proposer(sampler, seed=seed), 15)]

    assert proposed(1) == proposed(1) != proposed(2)


@pytest.mark.parametrize("sampler", ["evolution", "local_search", "random"])
def test_architectures_are_proposed_from_the_model_on(blocks: Composed, sampler: str) -> None:
    proposals = train(blocks.proposer(sampler), 45)
    assert len(identities(proposals)) == 45 and all(proposal.params <= 13_000 for proposal in proposals)
    assert proposals[0].change == "start" and proposals[0].params == 12_954 and proposals[0].model is not None
    children = [proposal for proposal in proposals if proposal.parent is not None]
    assert bool(children) == (sampler != "random") and all(child.change for child in children)


def test_settings_and_blocks_vary_together() -> None:
    composed = searching("optimizer.lr=tag(log,interval(0.01,0.3))", blocks=BlockLimits())
    proposals = train(composed.proposer("evolution"), 45)
    assert proposals[0].change == "start" and proposals[0].params == 12_954
    changes = {
        proposal.change.partition(" ")[0] == "optimizer.lr" for proposal in proposals if proposal.parent is not None
    }
    assert changes == {True, False} and all(float(proposal.values["optimizer.lr"]) > 0 for proposal in proposals)


def test_a_grid_is_complete_and_in_order() -> None:
    composed = searching("model.dropout=0,0.1", "model.width=0.5,0.51,1,1.1", "constraints.max_params=13000")
    proposer = composed.proposer("grid")
    proposals = train(proposer, 99)
    assert proposer.propose() is None
    combinations = [(proposal.values["model.dropout"], proposal.values["model.width"]) for proposal in proposals]
    # 0.51 is the same network as 0.5, and 1.1 is over the budget.
    assert combinations == [("0", "0.5"), ("0", "1"), ("0.1", "0.5"), ("0.1", "1")]


@pytest.mark.parametrize("sampler", [*LEARNING, "random"])
def test_a_search_ends_with_its_space(sampler: str) -> None:
    composed = searching("model.dropout=0,0.1", "model.width=0.5,0.51,1", "model.head.type=linear,gap")
    assert len(train(composed.proposer(sampler), 99)) == 8


def member(number: int, *losses: float, parent: int | None = None, **values: str) -> Member:
    candidate = Candidate(values or {"a": str(number)}, parent=parent)
    return Member(number, candidate, str(values or number), losses or None)


def test_best_first_is_by_rank_and_then_by_crowding() -> None:
    front = [member(0, 0, 4), member(1, 1, 3), member(2, 1.1, 2.9), member(3, 4, 0)]
    behind = [member(4, 5, 5), member(5, 2, 3)]
    order = [one.number for one in best_first([*behind, *front])]
    assert set(order[:2]) == {0, 3} and order[2:] == [2, 1, 5, 4]
    assert [one.number for one in best_first([member(0, 3), member(1, -1), member(2, 2)])] == [1, 2, 0]


def test_a_trial_that_failed_is_dominated_by_one_that_did_not() -> None:
    assert dominates(member(0, 5), member(1)) and not dominates(member(1), member(0, 5))
    assert not dominates(member(0, 1, 2), member(1, 2, 1)) and not dominates(member(0, 1), member(1, 1))


def draws_of(seen: set[str], seed: int = 1) -> Draws:
    """Three settings with four values, of networks that are what their values are."""
    space = Space(tuple(Setting(name, name, Choice(("0", "1", "2", "3"))) for name in "abc"))
    return Draws(space, lambda one: Checked(one, str(dict(one.params))), seen, Random(seed))


def trial(number: int, values: str, *losses: float, parent: int | None = None) -> Member:
    params = dict(zip("abc", values, strict=True))
    return Member(number, Candidate(params, parent=parent), str(params), losses or None, is_running=not losses)


def distance(one: Candidate, other: Candidate) -> int:
    return sum(one.params[name] != other.params[name] for name in "abc")


def test_old_members_of_the_population_have_no_children() -> None:
    old, young = trial(0, "000", -99.0), trial(1, "333", -1.0)
    proposed = Evolution(population=1, sample=3).propose(
        [old, young], draws_of({old.identity, young.identity}), Random(1)
    )
    assert (
        proposed is not None and proposed.candidate.parent == 1 and distance(proposed.candidate, young.candidate) == 1
    )


def test_local_search_climbs_and_starts_again_from_a_top() -> None:
    start, worse, better = trial(0, "000", 5.0), trial(1, "100", 6.0, parent=0), trial(2, "010", 4.0, parent=0)
    climbing = LocalSearch().propose([start, worse, better], draws_of(set()), Random(1))
    assert climbing is not None and climbing.candidate.parent == 2
    assert distance(climbing.candidate, better.candidate) == 1
    draws = draws_of(set())
    around = {draws.check(one).identity or "" for one in draws.space.neighbours(start.candidate, Random(1))}
    again = LocalSearch().propose([start, worse], draws_of({*around, start.identity}), Random(1))
    assert again is not None and again.candidate.parent is None


def test_local_search_need_not_wait_for_its_start() -> None:
    proposed = LocalSearch().propose([trial(0, "000")], draws_of(set()), Random(1))
    assert proposed is not None and proposed.candidate.parent == 0
