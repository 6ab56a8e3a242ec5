"""The JSON Schema of the model language agrees with the parser."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from archsearch.compose.json_schema import group_schema
from archsearch.config.schema import names_of
from archsearch.model.blocks.base import Defaults
from archsearch.model.heads import HEADS
from archsearch.model.order import PLACES
from archsearch.model.plugins import block_types
from archsearch.model.spec import parse_model
from tests.support.drawn import PARTS, Drawn, models
from tests.support.json_schema import refusals

SCHEMA = group_schema("model")
VALIDATOR = Draft202012Validator(SCHEMA)
GAP = {"type": "gap"}
VALUES: tuple[object, ...] = (
    *(-1, 0, 1, 2, 3, 0.5, 70_000, 1e40, True, False, None, "", "x", "same", "relu", "none", "max", "pool"),
    *([], [1, 2], [0, 0.5], [1, 2, 3], ["conv"], {}, {"x": 1}, {"channels": 3}, GAP, {"a": {"channels": 3}}),
)


def test_it_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_block_and_head_is_in_it_with_all_settings() -> None:
    definitions = SCHEMA["$defs"]
    for place, classes in (("block", block_types()), ("head", HEADS)):
        for kind, cls in classes.items():
            places = PLACES if place == "block" else ()
            assert {*definitions[f"model.{place}.{kind}"]["properties"]} == {*names_of(cls), *places, "type"}
    assert {*names_of(Defaults), "width", "blocks", "head"} < {*definitions["model"]["properties"]}


def test_settings_have_descriptions_and_no_default_where_they_are_inherited() -> None:
    conv = SCHEMA["$defs"]["model.block.conv"]["properties"]
    assert conv["repeat"]["default"] == 1 and "one after another" in conv["repeat"]["description"]
    assert conv["dropout"]["description"] == "probability of dropout; that of the model unless set here"
    assert "default" not in conv["dropout"]
    assert SCHEMA["$defs"]["model"]["properties"]["dropout"]["default"] == 0.0


DRAWN = st.sampled_from(PARTS).flatmap(models)


@given(DRAWN)
def test_every_drawn_model_is_valid(drawn: Drawn) -> None:
    assume(not parse_model(drawn.model)[1])  # of some, two settings do not fit each other
    assert refusals(SCHEMA, drawn.model) == {}


@settings(max_examples=100)
@given(data=st.data())
def test_with_one_value_changed_it_agrees_with_the_parser(data: st.DataObject) -> None:
    model: dict[str, Any] = deepcopy(data.draw(DRAWN).model)  # strategies draw the same objects again
    assume(not parse_model(model)[1])
    place = model
    while True:  # down to a mapping, at any depth
        deeper = [value for value in place.values() if isinstance(value, dict)]
        if not deeper or data.draw(st.booleans()):
            break
        place = data.draw(st.sampled_from(deeper))
    keys = sorted({*place, *names_of(Defaults), "type", "repeat", "channels", "pool_stride", "hidden"})
    place[data.draw(st.sampled_from(keys))] = deepcopy(data.draw(st.sampled_from(VALUES)))
    _, problems = parse_model(model)
    checked = [problem for problem in problems if not _is_rule(str(problem))]
    if problems == [] or checked:
        assert VALIDATOR.is_valid(model) == (problems == []), problems


def _is_rule(problem: str) -> bool:
    """Whether the problem is one that no schema knows, because it concerns several settings."""
    return "` (=" in problem


@pytest.mark.parametrize("place", ["after", "before"])
def test_a_place_beside_another_block_is_a_name(place: str) -> None:
    blocks: dict[str, Any] = {"a": {"channels": 4}, "b": {"type": "pool", place: "a"}}
    model = {"blocks": blocks, "head": {"type": "gap"}}
    assert refusals(SCHEMA, model) == {}
    assert SCHEMA["$defs"]["model.block.pool"]["properties"][place]["description"].startswith("name of the block")
    blocks["b"][place] = 3
    assert set(refusals(SCHEMA, model)) == {f"blocks.b.{place}"}


@pytest.mark.parametrize("name", ["type", "1a", "head"])
def test_a_block_that_is_taken_out_has_a_name_like_any_other(name: str) -> None:
    model = {"blocks": {"a": {"channels": 4}, name: None}, "head": {"type": "gap"}}
    assert set(refusals(SCHEMA, model)) == {"blocks"}
    assert [problem.path for problem in parse_model(model)[1]] == [f"model.blocks.{name}"]
