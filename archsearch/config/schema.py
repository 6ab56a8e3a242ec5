"""Plain values -> a validated dataclass, or everything that is wrong with them.

pydantic checks types and ranges; this module turns its findings into our words: the setting's full path, what it
got, the rule, and the nearest valid choice.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, TypeVar, get_args

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from archsearch.errors import Problem, did_you_mean

T = TypeVar("T")

# Strict: `epochs: "3"` and `channels: true` are mistakes. An integer is accepted where a float is wanted.
STRICT = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False)

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]

_RULES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a word",
    "tuple_type": "must be a list",
    "finite_number": "must be a finite number",
}


def names_of(cls: type) -> tuple[str, ...]:
    """The settings that `cls` knows."""
    return tuple(field.name for field in fields(cls))


def read(cls: type[T], values: object, path: str) -> tuple[T | None, list[Problem]]:
    """Validate `values` as a `cls` (a pydantic dataclass) found at `path`.

    Returns the instance and no problems, or None and all problems.
    """
    if not isinstance(values, Mapping):
        return None, [Problem(path, f"must be a mapping of settings, got {show(values)}")]
    try:
        return cls(**{str(key): value for key, value in values.items()}), []
    except ValidationError as error:
        return None, _merge_alternatives([_problem(cls, found, path) for found in error.errors()])


def read_typed(
    registry: Mapping[str, type[T]], values: object, path: str, default: str | None = None
) -> tuple[T | None, list[Problem]]:
    """Like `read`, with the class that `type:` names in `registry`."""
    if not isinstance(values, Mapping):
        return None, [Problem(path, f"must be a mapping of settings, got {show(values)}")]
    kind = values.get("type", default)
    if kind not in registry:
        rule = f"must be one of {', '.join(registry)}{did_you_mean(str(kind), registry)}"
        return None, [Problem(f"{path}.type", f"got {show(kind)}, {rule}")]
    return read(registry[kind], values, path)


def show(value: object) -> str:
    """A value as a person would have typed it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else str(value)


def _problem(cls: type, found: ErrorDetails, path: str) -> Problem:
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    # Behind the field's name, `loc` names members of a union ("int", "literal['same']") and positions of a list.
    keys = [str(key) for key in found["loc"][:1]]
    here = ".".join([path, *keys]) if path else ".".join(keys)
    if kind == "unexpected_keyword_argument":
        return Problem(here, f"unknown setting{did_you_mean(keys[0], names_of(cls))}")
    if kind == "missing":
        return Problem(here, "is missing")
    if kind == "literal_error":
        choices = [str(choice) for choice in _choices(cls, keys[0])]
        hint = did_you_mean(str(value), choices)
        return Problem(here, f"got {show(value)}, must be one of {', '.join(choices)}{hint}")
    if kind == "value_error":
        return Problem(here, str(context["error"]))
    return Problem(here, f"got {show(value)}, {_rule(kind, context, found['msg'])}")


def _rule(kind: str, context: Mapping[str, Any], message: str) -> str:
    bounds = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}
    if kind in bounds:
        words = kind.replace("greater_than", "more than").replace("less_than", "less than")
        words = {"more than_equal": "at least", "less than_equal": "at most"}.get(words, words)
        return f"must be {words} {context[bounds[kind]]}"
    return _RULES.get(kind) or message.replace("Input should", "must").lower()


def _choices(cls: type, name: str) -> list[object]:
    annotation = next(field.type for field in fields(cls) if field.name == name)
    found: list[object] = []
    pending = [annotation]
    while pending:
        for argument in get_args(pending.pop()):
            if isinstance(argument, str):
                found.append(argument)
            else:
                pending.append(argument)
    return found


def _merge_alternatives(problems: list[Problem]) -> list[Problem]:
    """A union reports one problem a member; say them as one: "got 'sme', must be a whole number or one of same"."""
    merged: dict[str, Problem] = {}
    for problem in problems:
        before = merged.get(problem.path)
        if before is None:
            merged[problem.path] = problem
        elif ", must be " in before.message and ", must be " in problem.message:
            rule = problem.message.split(", must be ", 1)[1]
            merged[problem.path] = Problem(problem.path, f"{before.message} or {rule}")
    return list(merged.values())
