"""`after` and `before`: where a block stands among those beside it."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.model.blocks.base import Block, register_block
from archsearch.model.lowering import Lowering
from archsearch.model.order import block_order
from archsearch.model.spec import parse_model
from tests.support.models import lower
from tests.support.requests import session4

CONV = {"channels": 4, "kernel_size": 1}


def model_of(**blocks: Any) -> dict[str, Any]:
    return {"blocks": {name: {**CONV, **block} for name, block in blocks.items()}, "head": {"type": "gap"}}


def names_of(model: object) -> list[str]:
    spec, problems = parse_model(model)
    assert spec is not None, problems
    return [name for name, _ in spec.blocks]


def problems_of(model: object) -> list[str]:
    spec, problems = parse_model(model)
    assert spec is None
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("blocks", "order"),
    [
        ({"a": {}, "b": {}, "x": {"after": "a"}}, "axb"),
        ({"a": {}, "b": {}, "x": {"before": "a"}}, "xab"),
        ({"x": {"after": "b"}, "a": {}, "b": {}}, "abx"),
        ({"a": {}, "x": {"after": "a"}, "b": {}, "y": {"after": "a"}, "z": {"before": "b"}}, "axyzb"),
        ({"a": {}, "x": {"before": "a"}, "y": {"before": "a"}}, "xya"),
        ({"a": {}, "b": {}, "y": {"after": "x"}, "x": {"after": "a"}, "z": {"before": "x"}}, "azxyb"),
        ({"a": {"before": "head"}, "b": {}, "x": {"after": "b"}}, "bxa"),
        ({"a": {"after": None}, "b": {"before": None, "after": None}}, "ab"),
    ],
)
def test_a_block_stands_beside_the_one_that_it_names(blocks: dict[str, Any], order: str) -> None:
    assert "".join(names_of(model_of(**blocks))) == order


def test_the_order_is_that_of_the_network_and_no_setting_of_the_block() -> None:
    moved = model_of(a={}, b={"channels": 8}, x={"channels": 2, "after": "a"})
    written = model_of(a={}, x={"channels": 2}, b={"channels": 8})
    assert parse_model(moved) == parse_model(written)
    assert list(dict.fromkeys(layer.block for layer in lower(moved).layers)) == ["a", "x", "b", "head"]


def test_blocks_in_blocks_have_a_place_among_those_beside_them() -> None:
    split = {
        "type": "parallel",
        "branches": {"one": {"a": CONV, "x": {**CONV, "before": "a"}}, "two": {"head": CONV}},
        "before": "stage",
    }
    stage = {"type": "residual", "body": {"a": CONV, "b": CONV, "x": {**CONV, "after": "a"}}}
    spec, problems = parse_model({"blocks": {"stage": stage, "split": split}, "head": {"type": "gap"}})
    assert spec is not None, problems
    blocks = dict(spec.blocks)
    assert list(blocks) == ["split", "stage"]
    assert [name for name, _ in blocks["stage"].body] == ["a", "x", "b"]
    assert [name for name, _ in dict(blocks["split"].branches)["one"]] == ["x", "a"]


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        (
            {"conv1": {}, "conv2": {}, "x": {"after": "covn1"}},
            "x.after: got 'covn1', must be one of the blocks beside it: conv1, conv2 (did you mean conv1?)",
        ),
        (
            {"conv1": {}, "x": {"before": "haed"}},
            "x.before: got 'haed', must be one of the blocks beside it: conv1, head (did you mean head?)",
        ),
        ({"a": {}, "x": {"after": "a", "before": "a"}}, "x.before: got 'a' beside after=a; a block has one of them"),
        ({"a": {}, "x": {"after": "x"}}, "x.after: got 'x', which is the block itself"),
        (
            {"a": {}, "x": {"after": "head"}},
            "x.after: got 'head', but the head ends the model; leave `after` out, or use before=head",
        ),
        ({"x": {"after": "a"}}, "x.after: got 'a', but there is no block beside it"),
        ({"a": {}, "x": {"after": 3}}, "x.after: got 3, must be a string"),
        ({"a": {}, "x": {"aftr": "a"}}, "x.aftr: unknown setting (did you mean after?)"),
        (
            {"a": {"after": "b"}, "b": {"before": "c"}, "c": {"after": "a"}, "d": {"after": "a"}, "e": {}},
            "a.after: got 'b', which goes round in a circle: a -> b -> c -> a",
        ),
    ],
)
def test_a_place_that_does_not_exist_is_refused(blocks: dict[str, Any], problem: str) -> None:
    assert problems_of(model_of(**blocks)) == [f"model.blocks.{problem}"]


def test_a_block_that_is_taken_out_has_nothing_beside_it() -> None:
    model = session4(extra={"channels": 8, "after": "conv3"})
    model["blocks"]["conv3"] = None
    assert problems_of(model) == ["model.blocks.extra.after: got 'conv3', which is taken out with null"]


def test_every_circle_is_reported_and_so_are_the_other_errors_of_the_blocks() -> None:
    blocks = {"a": {"after": "b"}, "b": {"after": "a"}, "c": {"before": "d"}, "d": {"after": "c"}, "e": {"channels": 0}}
    assert [problem.partition(",")[0] for problem in problems_of(model_of(**blocks))] == [
        "model.blocks.a.after: got 'b'",
        "model.blocks.c.before: got 'd'",
        "model.blocks.e.channels: got 0",
    ]


def test_nested_errors_have_their_path() -> None:
    body = {"a": CONV, "x": {**CONV, "after": "c"}}
    model = {"blocks": {"stage": {"type": "residual", "body": body}}, "head": {"type": "gap"}}
    assert problems_of(model) == [
        "model.blocks.stage.body.x.after: got 'c', must be one of the blocks beside it: a"
    ]  # fmt: skip


def test_a_long_chain_is_ordered() -> None:
    blocks = {f"b{number}": {**CONV, "after": f"b{number + 1}"} for number in range(3000)}
    order, problems = block_order({**blocks, "b3000": CONV}, "model.blocks", has_head=True)
    assert not problems and order == [f"b{number}" for number in range(3000, -1, -1)]


@pytest.mark.timeout(20)
def test_a_long_circle_is_reported() -> None:
    blocks = {f"b{number}": {**CONV, "after": f"b{(number + 1) % 5000}"} for number in range(5000)}
    (problem,) = block_order(blocks, "model.blocks", has_head=True)[1]
    assert problem.path == "model.blocks.b0.after" and problem.message.endswith("b4999 -> b0")


@given(st.lists(st.tuples(st.sampled_from(["after", "before", None]), st.integers(0, 7)), min_size=1, max_size=8))
def test_each_block_comes_once_and_nothing_but_its_companions_between(
    places: list[tuple[str | None, int]],
) -> None:
    names = [f"b{number}" for number in range(len(places))]
    blocks = {
        name: {} if setting is None else {setting: names[other % len(names)]}
        for name, (setting, other) in zip(names, places, strict=True)
    }
    order, problems = block_order(blocks, "blocks", has_head=False)
    assert sorted(order) == names
    if problems:
        return
    for name, values in blocks.items():
        for setting, other in values.items():
            between = sorted([order.index(name), order.index(other)])
            assert (order.index(name) > order.index(other)) == (setting == "after")
            for companion in order[between[0] + 1 : between[1]]:
                assert blocks[companion], f"{companion} stands where it was not put"


def test_a_block_of_ones_own_cannot_have_these_settings() -> None:
    @dataclass(frozen=True)
    class Late(Block):
        type: Literal["late"] = "late"
        after: str = ""

        def lower(self, lowering: Lowering) -> None:
            del lowering

    with pytest.raises(ValueError, match="cannot have settings named after or before: every block has them"):
        register_block(Late)
