"""A search recognises a network whatever its names, and by whatever settings it is written."""

from collections.abc import Mapping

import pytest

from archsearch.search.identity import described, identity
from archsearch.sweep.plan import PlannedRun
from tests.support.models import lower
from tests.support.sweeps import planned


def print_of(*words: str) -> str:
    (run,) = planned("trainer.precision=float32", *words).runs
    assert isinstance(run, PlannedRun) and run.plan is not None and run.settings is not None
    return identity(run.plan, run.settings)


@pytest.fixture(scope="module")
def base() -> str:
    return print_of("model=session4")


@pytest.mark.parametrize(
    "words",
    [
        ("seed=7",),
        ("model.width=1.001",),
        ("trainer.threads=1", "trainer.fused=false"),
        ("~model.blocks.trans2", "+model.blocks.other={channels: 16, kernel_size: 1, dropout: 0, pool: avg}"),
        ("constraints.max_params=20000",),
    ],
)
def test_names_seeds_and_ways_to_write_it_do_not_matter(base: str, words: tuple[str, ...]) -> None:
    assert print_of(*words) == base


@pytest.mark.parametrize(
    "word",
    [
        "model.dropout=0.2",
        "model.head.type=gap",
        "optimizer.lr=0.5",
        "trainer.epochs=3",
        "model.blocks.conv2.kernel_size=1",
    ],
)
def test_what_changes_training_matters(base: str, word: str) -> None:
    assert print_of(word) != base


def test_sequences_are_flattened_and_the_order_of_added_branches_does_not_matter() -> None:
    conv, other = {"channels": 4, "padding": 1}, {"channels": 4, "padding": 1, "activation": "silu"}
    head = {"type": "gap"}

    def parallel(join: str, first: Mapping[str, object], second: Mapping[str, object]) -> list[object]:
        branches = {"a": {"one": first}, "b": {"two": second}}
        return described(
            lower({"blocks": {"p": {"type": "parallel", "join": join, "branches": branches}}, "head": head})
        )

    assert parallel("add", conv, other) == parallel("add", other, conv)
    assert parallel("concat", conv, other) != parallel("concat", other, conv)
    group = {"type": "group", "blocks": {"x": conv, "y": other}}
    assert described(lower({"blocks": {"g": group}, "head": head})) == described(
        lower({"blocks": {"x": conv, "y": other}, "head": head})
    )
