"""JSON Schemas of settings: what pydantic makes, with interpolations."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PlainValidator
from pydantic.dataclasses import dataclass

from archsearch.config.json_schema import choice_definitions, interpolation, reference, settings_definitions
from archsearch.config.schema import STRICT, Fraction, PositiveInt
from tests.support.json_schema import refusals


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Point:
    x: PositiveInt
    """position"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Circle:
    """A circle."""

    type: Literal["circle"] = "circle"
    radius: Fraction
    """distance from the centre"""
    pad: PositiveInt | Literal["same"] = 1
    names: Annotated[tuple[str, ...], Field(strict=False)] = ()
    corners: Annotated[tuple[PositiveInt, Fraction], Field(strict=False)] = (1, 0.5)
    visible: bool = True
    colour: Literal["red", "green"] | None = None
    centre: Point | None = None
    anything: Annotated[int, PlainValidator(int)] = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Square:
    type: Literal["square"] = "square"
    radius: Literal["none"] = "none"
    side: PositiveInt


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ColouredCircle(Circle):
    depth: PositiveInt = 1


def schema_of(cls: type) -> dict[str, Any]:
    definitions = settings_definitions(cls, "circle")
    return {**reference("circle"), "$defs": {"interpolation": interpolation(), **definitions}}


def choice(*, complete: bool, default: str | None = None) -> dict[str, Any]:
    kinds = {kind: settings_definitions(cls, kind)[kind] for kind, cls in (("circle", Circle), ("square", Square))}
    definitions = choice_definitions("shape", kinds, "a shape", complete=complete, default=default)
    inner = settings_definitions(Circle, "circle")
    return {**reference("shape"), "$defs": {"interpolation": interpolation(), **inner, **definitions}}


@pytest.mark.parametrize(
    ("setting", "wrong", "right"),
    [
        ("radius", 1, 0.5),
        ("radius", "0.5", 0),
        ("pad", "sme", "same"),
        ("pad", 0, 3),
        ("names", "a", ["a"]),
        ("names", [3], []),
        ("corners", [1], [1, 0.5]),
        ("corners", [0, 0.5], [2, 0]),
        ("visible", "yes", False),
        ("colour", "blue", None),
        ("colour", 3, "red"),
        ("centre", {"x": 0}, {"x": 1}),
    ],
)
def test_a_setting_is_checked_where_it_stands(setting: str, wrong: object, right: object) -> None:
    schema = schema_of(Circle)
    valid = {"radius": 0.1}
    assert refusals(schema, {**valid, setting: right}) == {}
    (path,) = refusals(schema, {**valid, setting: wrong})
    assert path.startswith(setting)


@pytest.mark.parametrize("text", ["${radius}", "${oc.env:HOME,data}", "a${b}c", "???"])
def test_an_interpolation_can_stand_everywhere(text: str) -> None:
    schema = schema_of(Circle)
    assert refusals(schema, text) == {}
    assert refusals(schema, dict.fromkeys(schema["$defs"]["circle"]["properties"], text) | {"type": "circle"}) == {}
    assert refusals(schema, {"radius": text, "names": [text], "corners": [text, text], "centre": {"x": text}}) == {}


def test_unknown_and_missing_settings_are_refused() -> None:
    assert "'radus'" in refusals(schema_of(Circle), {"radius": 0.1, "radus": 2})[""]
    assert "'radius' is a required property" in refusals(schema_of(Circle), {})[""]


def test_descriptions_and_defaults_are_those_of_the_class_and_of_its_bases() -> None:
    circle = schema_of(ColouredCircle)["$defs"]["circle"]
    assert circle["properties"]["radius"]["description"] == "distance from the centre"
    assert circle["properties"]["colour"]["default"] is None and circle["properties"]["pad"]["default"] == 1
    assert schema_of(Circle)["$defs"]["circle"]["description"] == "A circle."


def test_type_chooses_the_settings_of_a_complete_mapping() -> None:
    schema = choice(complete=True)
    assert refusals(schema, {"type": "square", "side": 2}) == {}
    assert "'side'" in refusals(schema, {"type": "circle", "radius": 0.1, "side": 2})[""]
    assert list(refusals(schema, {"type": "circel", "side": 2})) == ["type"]
    assert refusals(schema, {"side": 2}) == {"": "'type' is a required property"}
    assert list(refusals(schema, {"type": "square"})) == [""]
    assert refusals(schema, {"type": "${kind}", "side": 2}) == {}


def test_without_a_type_a_complete_mapping_is_of_the_default_kind() -> None:
    schema = choice(complete=True, default="square")
    assert refusals(schema, {"side": 2}) == {}
    assert "'side' is a required property" in refusals(schema, {"radius": "none"})[""]


def test_a_partial_mapping_requires_nothing_and_can_be_of_any_kind() -> None:
    schema = choice(complete=False)
    for values in ({}, {"side": 2}, {"radius": 0.5}, {"radius": "none"}, {"type": "square"}):
        assert refusals(schema, values) == {}
    assert list(refusals(schema, {"side": 0})) == ["side"]
    assert list(refusals(schema, {"radius": 2})) == ["radius"]
    assert "'sid'" in refusals(schema, {"sid": 2})[""]
    assert list(refusals(schema, {"type": "square", "radius": 0.5})) == ["radius"]
