"""JSON Schemas of settings, so that editors complete and check YAML. No torch.

pydantic makes them; here they learn to accept OmegaConf's interpolations and missing values, and get the descriptions
that classes inherit. Keywords apply to one JSON type each, so a mapping that can also be an interpolation is one schema
with two types, not a choice between two schemas, in which editors would lose the error's place.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from archsearch.config.schema import descriptions_of

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
INTERPOLATION = r"^\?\?\?$|\$\{.+\}"  # `???` is what OmegaConf calls a missing value
_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of settings",
}
_OF_THE_VALUE = ("description", "default")


class _Generator(GenerateJsonSchema):
    """pydantic's generator; what has no JSON Schema, such as a validator of a plugin, accepts everything."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 # pydantic's own declaration

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 # pydantic's signature
        """No `Kernel Size` beside `kernel_size`."""
        return False

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002 # as above
        """Accept everything."""
        return {}


def reference(name: str) -> Schema:
    """A reference to the definition `name`."""
    return {"$ref": f"#/$defs/{name}"}


def interpolation() -> Schema:
    """The definition `interpolation`, to which all others refer."""
    text = "an interpolation, such as ${trainer.epochs}, or ??? for a value that must be given"
    return {"type": "string", "pattern": INTERPOLATION, "description": text}


def typed(kind: str) -> Schema:
    """The keywords of a value of JSON's type `kind`, or an interpolation."""
    message = f"must be {_NAMES[kind]}, or an interpolation such as ${{...}}"
    # The message is VS Code's, which the YAML language server shows. Validators ignore it.
    return {"type": [kind, "string"], "pattern": INTERPOLATION, "patternErrorMessage": message}


def settings_definitions(cls: type, name: str) -> dict[str, Schema]:
    """The definition `name` of a mapping with the settings of `cls`, first, and the definitions that it refers to."""
    template = f"#/$defs/{name}.{{model}}"
    schema = TypeAdapter(cls).json_schema(ref_template=template, schema_generator=_Generator)
    inner = schema.pop("$defs", {})
    properties = schema.setdefault("properties", {})
    for setting, text in descriptions_of(cls).items():
        properties[setting].setdefault("description", text)
    definitions = {f"{name}.{key}": _with_interpolations(value) for key, value in inner.items()}
    return {name: _with_interpolations(schema), **definitions}


def partial(schema: Schema) -> Schema:
    """`schema` of a mapping that may lack settings, because it is merged with another."""
    return {key: value for key, value in schema.items() if key != "required"}


def choice_definitions(
    name: str, kinds: Mapping[str, Schema], description: str, *, complete: bool, default: str | None = None
) -> dict[str, Schema]:
    """The definition `name` of a mapping whose `type` chooses one of `kinds`, and the definitions of these.

    Without a `type`, a complete mapping is of the kind `default`. A partial one, whose kind is that of another file,
    can have the settings of every kind.
    """
    definitions: dict[str, Schema] = {}
    rules: list[Schema] = []
    choices: list[Schema] = []
    for kind, schema in kinds.items():
        own = schema if complete else partial(schema)
        definitions[f"{name}.{kind}"] = own | {"properties": own["properties"] | {"type": {"const": kind}}}
        condition = _of_type(kind, may_be_absent=complete and kind == default)
        rules.append({"if": condition, "then": reference(f"{name}.{kind}")})
        choices.append({"const": kind, **_summary(schema)})
    if not complete:
        definitions[f"untyped_{name}"] = _merged(kinds.values())
        rules.append({"if": {"type": "object", "not": {"required": ["type"]}}, "then": reference(f"untyped_{name}")})
    kind_of: Schema = {"description": "which kind it is", "anyOf": [*choices, reference("interpolation")]}
    if default is not None and complete:
        kind_of["default"] = default
    chosen = {**typed("object"), "description": description, "properties": {"type": kind_of}, "allOf": rules}
    if complete and default is None:
        chosen["required"] = ["type"]
    return {name: chosen, **definitions}


def _of_type(kind: str, *, may_be_absent: bool) -> Schema:
    condition: Schema = {"type": "object", "properties": {"type": {"const": kind}}}
    return condition if may_be_absent else {**condition, "required": ["type"]}


def _summary(schema: Schema) -> Schema:
    text = schema.get("description", "").split("\n", 1)[0]
    return {"description": text} if text else {}


def _merged(kinds: Iterable[Schema]) -> Schema:
    """The settings of all `kinds` but `type`, each with the values that one of them allows."""
    forms: dict[str, list[Schema]] = {}
    for schema in kinds:
        for setting, form in schema["properties"].items():
            known = forms.setdefault(setting, [])
            if form not in known and setting != "type":
                known.append(form)
    merged = {setting: known[0] if len(known) == 1 else {"anyOf": known} for setting, known in forms.items() if known}
    return {"properties": merged, "additionalProperties": False}


def _with_interpolations(schema: Schema) -> Schema:
    """`schema`, which also accepts interpolations, as its value and in it."""
    schema = _nested(schema)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    kind = schema.get("type")
    if alternatives is not None:
        schema.pop("discriminator", None)
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        if len(alternatives) == 2 and "$ref" in alternatives[0] and alternatives[1].get("type") == "null":
            mapping = {"if": {"type": "object"}, "then": alternatives[0]}  # keeps the place of an error in it
            return {**rest, **typed("object"), "type": ["object", "null", "string"], **mapping}
        return {**rest, "anyOf": [*alternatives, reference("interpolation")]}
    if kind in _NAMES and "enum" not in schema and "const" not in schema:
        return {**schema, **typed(kind)}
    if kind is None or set(schema) <= {"type", *_OF_THE_VALUE, "minLength", "maxLength", "title"}:
        return schema  # text, a reference, anything
    rest = {key: value for key, value in schema.items() if key not in _OF_THE_VALUE}
    outer = {key: value for key, value in schema.items() if key in _OF_THE_VALUE}
    return {**outer, "anyOf": [rest, reference("interpolation")]}


def _nested(schema: Schema) -> Schema:
    """`schema`, whose properties, items and alternatives accept interpolations in them."""
    schema = {key: value for key, value in schema.items() if key != "title"}
    for key in ("properties", "patternProperties"):
        if key in schema:
            schema[key] = {name: _with_interpolations(value) for name, value in schema[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _with_interpolations(schema[key])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            schema[key] = [_nested(value) for value in schema[key]]
    items = [_with_interpolations(value) for value in schema.pop("prefixItems", [])]
    if items and all(item == items[0] for item in items):
        schema["items"] = items[0]  # which older drafts, and editors, know
    elif items:
        schema["prefixItems"] = items
    return schema
