"""Architectures: every one that is proposed can be built, is another network, and keeps to its budget."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.config.search import BlockLimits
from archsearch.config.settings import Constraints
from archsearch.search.architectures import Architectures
from archsearch.search.budget import excess_of
from archsearch.search.identity import described
from archsearch.search.mutations import MUTATIONS, count_blocks, levels, plain_model
from tests.support.models import lower
from tests.support.requests import ask, session4

ALL_TYPES = ("conv", "separable", "inverted_residual", "residual", "pool", "squeeze_excite")
SHAPES = {"session4": (1, 28, 28), "lenet5": (1, 28, 28), "resnet20": (3, 32, 32), "mobilenet_v2_cifar": (3, 32, 32)}
MODELS = {name: ask(f"model={name}").config["model"] for name in SHAPES}


def around(name: str, constraints: Constraints = Constraints(), **limits: object) -> Architectures:  # noqa: B008
    shape = SHAPES[name]
    return Architectures.around(MODELS[name], BlockLimits(**limits), shape, 10, constraints)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=10)
@given(st.sampled_from(sorted(SHAPES)), st.integers(0, 2**20))
def test_a_mutation_can_be_built_and_is_another_network(name: str, seed: int) -> None:
    near, random = around(name, types=ALL_TYPES), Random(seed)
    model = near.start
    for _ in range(6):
        mutated = near.mutated(model, random)
        assert mutated is not None and mutated[1]
        before, after = near.planned(model), near.planned(mutated[0])
        assert before is not None and after is not None and described(before) != described(after)
        assert count_blocks(mutated[0]) <= max(20, count_blocks(model))
        model = mutated[0]


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 2**20))
def test_a_walk_from_within_the_budget_stays_within_it(seed: int) -> None:
    limit = Constraints(max_params=13_000, max_macs=3_000_000, min_receptive_field=20)
    near = around("session4", limit)
    plan = near.planned(near.drawn(Random(seed)))
    assert plan is not None and not excess_of(limit, plan)


def test_a_walk_from_above_the_budget_only_comes_closer() -> None:
    near, random = around("resnet20", Constraints(max_params=100_000)), Random(1)
    model, sizes = near.start, [270_000]
    for _ in range(40):
        mutated = near.mutated(model, random)
        assert mutated is not None
        model = mutated[0]
        plan = near.planned(model)
        assert plan is not None and plan.params <= max(sizes[-1], 100_000)
        sizes.append(plan.params)
    assert sizes[-1] <= 100_000


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_each_mutation_leads_to_other_networks(mutation: object) -> None:
    """None of them is idle: from session4 or from what it becomes, each one changes the network now and then."""
    near, random = around("session4"), Random(3)
    changed = 0
    for _ in range(60):
        if changed == 2:
            break
        model = plain_model(near.drawn(random))
        before = near.planned(model)
        words = mutation(model, random, near.limits)  # type: ignore[operator]
        after = near.planned(model)
        assert words is not None or described(before) == described(after)  # type: ignore[arg-type]
        changed += after is not None and before is not None and described(after) != described(before)
    assert changed


def test_a_plain_model_is_the_same_network() -> None:
    model = session4(extra={"channels": 8, "kernel_size": 1, "after": "conv2"}, trans1=None)
    model["x-shared"] = {"channels": 3}
    plain = {"dropout": model["dropout"], **plain_model(model)}
    assert list(plain["blocks"]) == ["conv1", "conv2", "extra", "conv3", "conv4", "conv5", "trans2"]
    assert described(lower(plain)) == described(lower(model)) and "x-shared" not in plain


def test_blocks_in_blocks_are_found() -> None:
    names = [name for blocks in levels(plain_model(MODELS["resnet20"])["blocks"]) for name in blocks]
    assert "stage1" in names and len(names) > len(MODELS["resnet20"]["blocks"])


def test_the_same_seed_gives_the_same_networks() -> None:
    near = around("session4")
    assert near.drawn(Random(5)) == near.drawn(Random(5)) != near.drawn(Random(6))


def test_a_search_from_nothing_begins_with_one_convolution() -> None:
    near = Architectures.around(MODELS["session4"], BlockLimits(), (1, 28, 28), 10, Constraints(), from_nothing=True)
    assert near.start == {"blocks": {"conv1": {"channels": 4}}, "head": {"type": "gap"}}
    assert near.defaults["dropout"] == 0.1 and near.planned(near.drawn(Random(1))) is not None


def test_only_the_types_that_are_allowed_are_inserted() -> None:
    near, random = around("session4", types=("conv",), heads=("gap",), activations=("relu",)), Random(2)
    for _ in range(20):
        model = near.drawn(random)
        assert all(
            block.get("type", "conv") == "conv" for blocks in levels(model["blocks"]) for block in blocks.values()
        )
