"""The JSON Schema of the whole configuration and of each group, for editors. No torch."""

from collections.abc import Iterator, Mapping
from typing import Any

from archsearch.config.json_schema import (
    DIALECT,
    Schema,
    choice_definitions,
    interpolation,
    partial,
    reference,
    settings_definitions,
)
from archsearch.config.schema import allowed_values, groups_of
from archsearch.config.settings import Settings
from archsearch.errors import ConfigError, Problem, did_you_mean
from archsearch.model.json_schema import model_definitions

_EXPERIMENT = "experiment"  # its files are parts of the whole configuration
_MODEL = "model"


def schema_names() -> list[str]:
    """The groups whose files have a schema."""
    return [_MODEL, *groups_of(Settings), _EXPERIMENT]


def configuration_schema() -> Schema:
    """The schema of a configuration, or of the part of one that an experiment is: nothing in it is required."""
    groups = (_MODEL, *groups_of(Settings))
    whole = settings_definitions(Settings, "settings")
    own = {name: schema for name, schema in whole["settings"]["properties"].items() if name not in groups}
    definitions = {name: whole[name] for name in _references(own) if name in whole}
    for group in groups:
        definitions |= _group_definitions(group, group, complete=False, beside={})
    schema = {
        "$schema": DIALECT,
        "title": "archsearch",
        "description": "A configuration of archsearch, or an experiment: a part of one, with `# @package _global_`.",
        "type": ["object", "null"],
        "properties": {
            "defaults": reference("defaults"),
            "hydra": {"type": "object", "description": "Hydra's own settings, which are not checked"},
            **{name: reference(name) for name in groups},
            **own,
        },
        "additionalProperties": False,
    }
    return schema | {"$defs": {"interpolation": interpolation(), "defaults": _defaults(), **definitions}}


def group_schema(group: str) -> Schema:
    """The schema of the files of `group`, such as conf/model/mine.yaml. Raises `ConfigError` for an unknown group.

    A file that extends others, with a `defaults` list, need not have the settings that are required.
    """
    known = schema_names()
    if group not in known:
        hint = did_you_mean(group, known)
        raise ConfigError([Problem("schema", f"got {group!r}, must be one of {', '.join(known)}{hint}")])
    if group == _EXPERIMENT:
        return configuration_schema()
    beside = {"defaults": reference("defaults")}
    extending = f"extending_{group}"
    definitions = {
        **_group_definitions(group, group, complete=True, beside=beside),
        **_group_definitions(group, extending, complete=False, beside=beside),
    }
    return {
        "$schema": DIALECT,
        "title": f"archsearch {group}",
        "description": f"A file of the group {group}, such as conf/{group}/mine.yaml.",
        "if": {"type": "object", "required": ["defaults"]},
        "then": reference(extending),
        "else": reference(group),
        "$defs": {"interpolation": interpolation(), "defaults": _defaults(), **definitions},
    }


def _group_definitions(group: str, name: str, *, complete: bool, beside: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definition `name` of the settings of `group`, and those that it refers to. `beside` are further keys."""
    if group == _MODEL:
        return model_definitions(name, complete=complete, beside=beside)
    classes = groups_of(Settings)[group]
    if len(classes) == 1:
        definitions = settings_definitions(classes[0], name)
        whole = _with_keys(definitions[name], beside)
        return definitions | {name: whole if complete else partial(whole)}
    kinds: dict[str, Schema] = {}
    inner: dict[str, Schema] = {}
    for cls in classes:
        for kind in allowed_values(cls, "type"):
            definitions = settings_definitions(cls, f"{name}.{kind}")
            kinds[kind] = _with_keys(definitions.pop(f"{name}.{kind}"), beside)
            inner |= definitions
    return inner | choice_definitions(name, kinds, f"{group}: {', '.join(kinds)}", complete=complete)


def _with_keys(schema: Schema, beside: Mapping[str, Schema]) -> Schema:
    return schema | {"properties": {**beside, **schema["properties"]}}


def _defaults() -> Schema:
    """Hydra's defaults list."""
    option = {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "array", "items": {"type": "string"}}]}
    entry = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": option}
    return {
        "description": "Hydra's defaults list: the files that this one is merged with, in order; _self_ is this one",
        "type": "array",
        "items": {"anyOf": [{"type": "string"}, entry]},
    }


def _references(schema: Any) -> Iterator[str]:
    """The names of the definitions that `schema` refers to."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield str(value).rpartition("/")[2]
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
