"""Reading plain values as typed settings."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from archsearch.config.schema import STRICT, Fraction, NonNegativeFloat, PositiveInt, format_value, read, read_typed


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Circle:
    type: Literal["circle"] = "circle"
    radius: NonNegativeFloat = 1.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Square:
    type: Literal["square"] = "square"
    side: PositiveInt = 1

    def __post_init__(self) -> None:
        if self.side == 13:
            raise ValueError("`side` (=13) brings bad luck")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Frame:
    border: PositiveInt = 1
    corners: Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)] = (1, 1)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Drawing:
    title: str
    shape: Annotated[Circle | Square, Field(discriminator="type")]
    share: Fraction = 0.5
    pad: PositiveInt | Literal["same"] = 1
    points: Annotated[tuple[PositiveInt, ...], Field(strict=False)] = ()
    visible: bool = True
    frame: Frame | None = None


def drawing(**changes: Any) -> dict[str, Any]:
    return {"title": "x", "shape": {"type": "square", "side": 2}, **changes}


def problems_of(values: object) -> list[str]:
    instance, problems = read(Drawing, values, "drawing")
    assert (instance is None) == bool(problems)
    return [str(problem) for problem in problems]


def test_nested_settings_are_read_from_mappings() -> None:
    instance, problems = read(Drawing, drawing(points=[1, 2], share=0), "drawing")
    assert not problems
    assert instance == Drawing(title="x", shape=Square(side=2), share=0.0, points=(1, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "y"}, "drawing.titel: unknown setting (did you mean title?)"),
        ({"border": 3}, "drawing.border: unknown setting (did you mean frame.border?)"),
        ({"frame": {"corners": [1]}}, "drawing.frame.corners: got [1], must have 2 values"),
        ({"frame": {"corners": [1, 2, 3]}}, "drawing.frame.corners: got [1, 2, 3], must have 2 values"),
        ({"title": 3}, "drawing.title: got 3, must be a string"),
        ({"share": "many"}, "drawing.share: got 'many', must be a number"),
        ({"share": 1}, "drawing.share: got 1, must be less than 1.0"),
        ({"share": -0.5}, "drawing.share: got -0.5, must be at least 0"),
        ({"visible": "yes"}, "drawing.visible: got 'yes', must be true or false"),
        ({"points": 3}, "drawing.points: got 3, must be a list"),
        ({"points": [1, 0]}, "drawing.points: got 0, must be at least 1"),
        ({"pad": "sme"}, "drawing.pad: got 'sme', must be a whole number or one of same (did you mean same?)"),
        ({"shape": 3}, "drawing.shape: got 3, must be a mapping of settings"),
        (
            {"shape": {"type": "circel"}},
            "drawing.shape.type: got 'circel', must be one of circle, square (did you mean",
        ),
        ({"shape": {"side": 2}}, "drawing.shape.type: got null, must be one of circle, square"),
        ({"shape": {"type": "square", "sid": 2}}, "drawing.shape.sid: unknown setting (did you mean side?)"),
        ({"shape": {"type": "circle", "radius": True}}, "drawing.shape.radius: got true, must be a number"),
        ({"shape": {"type": "square", "side": 13}}, "drawing.shape: `side` (=13) brings bad luck"),
    ],
)
def test_errors_have_path_value_rule_and_suggestion(changes: dict[str, Any], message: str) -> None:
    (problem,) = problems_of(drawing(**changes))
    assert problem.startswith(message)


def test_missing_settings_are_reported() -> None:
    assert problems_of({"shape": {"type": "circle"}}) == ["drawing.title: is missing"]


def test_all_errors_are_reported_at_once() -> None:
    problems = problems_of(drawing(share=2, titel="y", shape={"type": "circle", "radius": -1}))
    assert [problem.split(":")[0] for problem in problems] == ["drawing.shape.radius", "drawing.share", "drawing.titel"]


@pytest.mark.parametrize("values", [None, 3, "x", []])
def test_settings_must_be_a_mapping(values: object) -> None:
    assert problems_of(values) == [f"drawing: got {format_value(values)}, must be a mapping of settings"]


def test_type_selects_the_class() -> None:
    shapes: dict[str, type[Circle | Square]] = {"circle": Circle, "square": Square}
    assert read_typed(shapes, {"type": "circle", "radius": 2}, "shape") == (Circle(radius=2.0), [])
    assert read_typed(shapes, {"side": 2}, "shape", default="square") == (Square(side=2), [])


@pytest.mark.parametrize(("value", "text"), [(None, "null"), (True, "true"), ("a", "'a'"), (1.5, "1.5"), ([1], "[1]")])
def test_values_are_shown_as_in_yaml(value: object, text: str) -> None:
    assert format_value(value) == text
