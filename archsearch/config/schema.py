"""Reading plain values as validated dataclasses, with all errors at once.

pydantic checks types and ranges. This module turns its errors into messages with the setting's full path, the value,
the rule, and the nearest valid choice.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from archsearch.errors import Problem, did_you_mean

T = TypeVar("T")

_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)

# Strict: `epochs: "3"` and `channels: true` are errors. An integer is accepted where a float is expected.
# The string below a setting is its description, for help and for editors.
STRICT = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False, use_attribute_docstrings=True)

# The upper limits are far beyond anything useful; they keep torch's number types from overflowing.
PositiveInt = Annotated[int, Field(ge=1, le=10**9)]
NonNegativeInt = Annotated[int, Field(ge=0, le=2**31 - 1)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
LARGEST_SIZE = 65_536
Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]  # channels, features, or pixels of a window
Workers = Annotated[int, Field(ge=1, le=1024)]  # processes or threads
Fraction = Annotated[float, Field(ge=0, lt=1)]

_MAPPING = "must be a mapping of settings"
_RULES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "finite_number": "must be a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def names_of(cls: type) -> tuple[str, ...]:
    """The settings that `cls` has."""
    return tuple(field.name for field in fields(cls))


def default_of(cls: type, name: str) -> object:
    """The default of the setting `name`; `dataclasses.MISSING` if it is required."""
    return next(field.default for field in fields(cls) if field.name == name)


def descriptions_of(cls: type) -> dict[str, str]:
    """The descriptions of the settings of `cls` that have one."""
    fields_by_class = [getattr(base, "__pydantic_fields__", {}) for base in reversed(cls.__mro__)]
    return {name: info.description for infos in fields_by_class for name, info in infos.items() if info.description}


def allowed_values(cls: type, name: str) -> list[str]:
    """The values that the setting `name` of `cls` can have, if they can be listed."""
    annotation = get_type_hints(cls).get(name)
    if _by_type(annotation):
        return list(_by_type(annotation))
    flags = ["true", "false"] if bool in (annotation, *get_args(annotation)) else []
    return [*flags, *_choices(annotation)]


def groups_of(cls: type) -> dict[str, list[type]]:
    """The settings of `cls` whose values are dataclasses, with the possible classes."""
    groups: dict[str, list[type]] = {}
    for name, annotation in get_type_hints(cls).items():
        if name not in names_of(cls):
            continue
        members = list(dict.fromkeys(_by_type(annotation).values()))
        if isinstance(annotation, type) and is_dataclass(annotation):
            members = [annotation]
        if members:
            groups[name] = members
    return groups


def nested_in(cls: type) -> dict[str, type]:
    """The settings of `cls` that hold settings of their own, with the class of these."""
    classes = {name: _single_dataclass(annotation) for name, annotation in get_type_hints(cls).items()}
    return {name: inner for name, inner in classes.items() if inner is not None and name in names_of(cls)}


def read(cls: type[T], values: object, path: str, others: Collection[str] = ()) -> tuple[T | None, list[Problem]]:
    """Validate `values` as a `cls` (a pydantic dataclass, which may contain others) at `path`.

    `others` are settings beside those of `cls`, which unknown ones can mean. Returns the instance and no problems, or
    None and all problems.
    """
    if not isinstance(values, Mapping):
        return None, [_no_mapping([cls], values, path)]
    try:
        # As JSON, because strict mode reads nested dataclasses from mappings only in JSON.
        text = json.dumps({str(key): value for key, value in values.items()}, default=_plain)
        instance: T = _adapter(cls).validate_json(text)
        return instance, []
    except ValidationError as error:
        return None, _merge_alternatives([_problem(cls, details, path, others) for details in error.errors()])


def _plain(value: object) -> object:
    """NumPy's numbers are numbers; anything else that JSON lacks is text."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "shape", None) == () else str(value)


def read_typed(
    registry: Mapping[str, type[T]], values: object, path: str, default: str | None = None
) -> tuple[T | None, list[Problem]]:
    """Like `read`, with the class that `type:` names in `registry`."""
    if not isinstance(values, Mapping):
        return None, [_no_mapping(registry.values(), values, path)]
    kind = values.get("type", default)
    if not isinstance(kind, str) or kind not in registry:
        return None, [Problem(f"{path}.type", f"got {format_value(kind)}, {_one_of(registry, kind)}")]
    return read(registry[kind], values, path)


def format_value(value: object) -> str:
    """`value` as it is typed in YAML or on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else str(value)


def typed_text(value: object) -> str:
    """`value` as it is typed where its setting is known: text without quotes, lists without spaces."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return value if isinstance(value, str) else format_value(value)


class _Location(NamedTuple):
    """Where an error is: the setting's path, the dataclass that has the setting, and the setting's annotation."""

    path: str
    owner: type
    name: str
    annotation: Any


def _locate(cls: type, keys: tuple[int | str, ...], path: str) -> _Location:
    """Follow pydantic's location of an error through nested dataclasses.

    The location also names the chosen member of a union with a `type`, the members of other unions ("int",
    "literal['same']") and positions of a list; these are not part of a setting's path.
    """
    location = _Location(path, cls, "", cls)
    remaining = list(keys)
    while remaining:
        owner = _single_dataclass(location.annotation)
        if owner is not None:
            name = str(remaining.pop(0))
            setting_path = f"{location.path}.{name}" if location.path else name
            location = _Location(setting_path, owner, name, get_type_hints(owner).get(name))
        elif (members := _by_type(location.annotation)) and remaining[0] in members:
            location = location._replace(annotation=members[str(remaining.pop(0))])
        elif get_origin(location.annotation) is dict:
            name = str(remaining.pop(0))
            location = location._replace(path=f"{location.path}.{name}", annotation=get_args(location.annotation)[1])
        else:
            break
    return location


def _single_dataclass(annotation: Any) -> type | None:
    """The dataclass that an annotation is, or has beside None; None where there is none, or where `type` chooses."""
    if isinstance(annotation, type):
        return annotation if is_dataclass(annotation) else None
    members = [member for member in get_args(annotation) if isinstance(member, type) and is_dataclass(member)]
    return members[0] if len(members) == 1 and not _by_type(annotation) else None


def _by_type(annotation: Any) -> dict[str, type]:
    """The dataclasses of a union by the values of their `type`; empty for any other annotation."""
    members = [member for member in get_args(annotation) if isinstance(member, type) and is_dataclass(member)]
    return {
        str(value): member
        for member in members
        for value in get_args(get_type_hints(member).get("type"))
        if get_origin(get_type_hints(member).get("type")) is Literal
    }


def _problem(cls: type, details: ErrorDetails, path: str, others: Collection[str]) -> Problem:
    location = _locate(cls, details["loc"], path)
    value, annotation = details["input"], location.annotation
    match details["type"]:
        case "union_tag_invalid" | "union_tag_not_found":
            kind = value.get("type") if isinstance(value, Mapping) else value
            return Problem(f"{location.path}.type", f"got {format_value(kind)}, {_one_of(_by_type(annotation), kind)}")
        case "unexpected_keyword_argument":
            nested = nested_in(location.owner).items()
            inner = [f"{name}.{location.name}" for name, group in nested if location.name in names_of(group)]
            meant = f" (did you mean {' or '.join(inner)}?)" if inner else ""
            message = f"unknown setting{meant or did_you_mean(location.name, (*names_of(location.owner), *others))}"
        case "missing" if isinstance(value, list):
            message = f"got {format_value(value)}, must have {len(get_args(annotation))} values"
        case "missing":
            message = "is missing"
        case "literal_error":
            message = f"got {format_value(value)}, {_one_of(_choices(annotation), value)}"
            if value is False and "none" in _choices(annotation):
                message += " (YAML reads off and no as false; use none)"
        case "dataclass_type" | "model_attributes_type" | "dict_type":
            owner = _single_dataclass(annotation)
            return _no_mapping([owner] if owner else [], value, location.path or "configuration")
        case "value_error":
            message = str(details["ctx"]["error"])
        case "json_invalid":
            message = "contains a character that is not valid Unicode"
        case kind:
            message = f"got {format_value(value)}, {_rule(kind, details.get('ctx', {}), details['msg'])}"
    return Problem(location.path or "configuration", message)


def _no_mapping(classes: Collection[type], value: object, path: str) -> Problem:
    """`value` stands where settings are expected; it may be meant for one of them."""
    meant = [name for cls in classes for name in names_of(cls) if value in allowed_values(cls, name)]
    meant = [name for name in meant if not any(get_origin(get_type_hints(cls).get(name)) is tuple for cls in classes)]
    name = min(meant, key=lambda name: name != "type", default="")
    advice = f"; write {{{name}: {value}}}, or use {path}.{name}={value}" if meant and path else ""
    return Problem(path, f"got {format_value(value)}, {_MAPPING}{advice}")


def _one_of(choices: Mapping[str, object] | list[str], value: object) -> str:
    return f"must be one of {', '.join(choices)}{did_you_mean(str(value), choices)}"


def _rule(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _BOUNDS:
        bound, comparison = _BOUNDS[kind]
        return f"must be {comparison} {context[bound]}"
    if kind == "too_long":
        return f"must have {context['max_length']} values"
    if kind == "too_short":
        return f"must have at least {context['min_length']} value{'' if context['min_length'] == 1 else 's'}"
    return _RULES.get(kind) or message.replace("Input should", "must").lower()


def _choices(annotation: Any) -> list[str]:
    """All values in the literals of an annotation, as text."""
    choices: list[str] = []
    pending = [annotation]
    while pending:
        for argument in get_args(pending.pop()):
            if isinstance(argument, str | int):
                choices.append(str(argument))
            else:
                pending.append(argument)
    return choices


def _merge_alternatives(problems: list[Problem]) -> list[Problem]:
    """Merge the problems of a union, one per member, to one: "got 'sme', must be a whole number or one of same".

    A value out of range has the type of a member, so what the other members ask for is left out.
    """
    merged: dict[str, Problem] = {}
    ranges = tuple(f", must be {comparison} " for _, comparison in _BOUNDS.values())
    out_of_range = {problem.path for problem in problems if any(rule in problem.message for rule in ranges)}
    for problem in problems:
        if problem.path in out_of_range and not any(rule in problem.message for rule in ranges):
            continue
        first = merged.get(problem.path)
        if first is None:
            merged[problem.path] = problem
        elif ", must be " in first.message and ", must be " in problem.message:
            rule = problem.message.split(", must be ", 1)[1]
            if rule not in first.message:
                merged[problem.path] = Problem(problem.path, f"{first.message} or {rule}")
    return list(merged.values())
