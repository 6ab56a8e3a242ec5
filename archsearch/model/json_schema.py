"""The JSON Schema of the model language, with the blocks of plugins. No torch."""

from collections.abc import Mapping

from archsearch.config.json_schema import (
    Schema,
    choice_definitions,
    partial,
    reference,
    settings_definitions,
    typed,
)
from archsearch.model.blocks.base import Block, Defaults, inherited_settings
from archsearch.model.heads import HEADS
from archsearch.model.order import Place
from archsearch.model.plugins import block_types
from archsearch.model.spec import HOLDER, NESTED_RESERVED, RESERVED, Width

_MODEL = "a model: blocks by name, in order, a head, and settings that the blocks inherit"
_BLOCK = "a block; null takes out a block of another file"
_HEAD = "what turns the last block's output into logits, one for each class"
_NAME = "a block's name: letters, digits and _, and a letter first; not on, off, yes or no, nor a name of nn.Sequential"

# What YAML 1.1, which Hydra reads, takes for true or false, and YAML 1.2, which editors read, for a word.
_FLAGS = [form for word in ("true", "false", "yes", "no", "on", "off") for form in (word, word.title(), word.upper())]


def model_definitions(name: str, *, complete: bool, beside: Mapping[str, Schema] | None = None) -> dict[str, Schema]:
    """The definition `name` of a model, and those of its blocks and heads, whose names begin with `name`.

    A partial model is merged with that of another file, so it requires nothing. `beside` are further keys of the model.
    """
    defaults, width = (settings_definitions(cls, name)[name]["properties"] for cls in (Defaults, Width))
    blocks = {"description": "blocks by name, in order", **_blocks(name, "top", least=int(complete))}
    model: Schema = {
        **typed("object"),
        "description": _MODEL,
        "properties": {
            **(beside or {}), **width, **defaults, "blocks": blocks, "head": reference(f"{name}.head")
        },
        "patternProperties": {f"^{HOLDER}": {"description": "what YAML's anchors refer to"}},
        "additionalProperties": False,
        "required": ["blocks", "head"],
    }  # fmt: skip
    definitions = {
        name: model if complete else partial(model),
        f"{name}.name.top": _names(RESERVED),
        f"{name}.name.nested": _names(NESTED_RESERVED),
    }
    kinds: dict[str, Schema] = {}
    for kind, block in block_types().items():
        own, definitions = _definitions_of(block, f"{name}.block.{kind}", definitions)
        kinds[kind] = _block(block, own, name, complete=complete)
    definitions |= choice_definitions(f"{name}.block", kinds, _BLOCK, complete=complete, default="conv")
    definitions[f"{name}.block"]["type"] = ["object", "string", "null"]
    kinds = {}
    for kind, head in HEADS.items():
        kinds[kind], definitions = _definitions_of(head, f"{name}.head.{kind}", definitions)
    return definitions | choice_definitions(f"{name}.head", kinds, _HEAD, complete=complete, default="linear")


def _definitions_of(cls: type, name: str, definitions: dict[str, Schema]) -> tuple[Schema, dict[str, Schema]]:
    """The schema of `cls`, and `definitions` with those that it refers to."""
    inner = settings_definitions(cls, name)
    return inner.pop(name), definitions | inner


def _block(cls: type[Block], schema: Schema, name: str, *, complete: bool) -> Schema:
    """`schema` of a block, with its place, the blocks in it and what it inherits."""
    places = settings_definitions(Place, name)[name]["properties"]
    properties = {**schema["properties"], **places}
    for setting in inherited_settings(cls):
        inherited = {key: value for key, value in properties[setting].items() if key != "default"}
        text = inherited.get("description", "")
        properties[setting] = inherited | {"description": f"{text}; that of the model unless set here"}
    for setting, form in cls.nested.items():
        nested = _blocks(name, "nested", least=int(complete))
        if form == "branches":
            branch = _blocks(name, "nested", least=0)
            names = reference(f"{name}.name.nested")
            least = {"minProperties": 2} if complete else {}
            nested = {**typed("object"), "propertyNames": names, "additionalProperties": branch, **least}
        description = properties[setting].get("description", "")
        properties[setting] = {"description": description, **nested}
    return schema | {"properties": properties, "required": [*schema.get("required", []), *cls.nested]}


def _blocks(name: str, place: str, *, least: int) -> Schema:
    """A mapping of blocks by name, with `least` blocks at least."""
    schema = {**typed("object"), "propertyNames": reference(f"{name}.name.{place}")}
    schema["additionalProperties"] = reference(f"{name}.block")
    return schema | ({"minProperties": least} if least else {})


def _names(reserved: frozenset[str]) -> Schema:
    """The names that blocks can have."""
    words = "|".join(sorted({*reserved, *_FLAGS}))
    return {"pattern": f"^(?!(?:{words})$)[A-Za-z][A-Za-z0-9_]*$", "patternErrorMessage": f"must be {_NAME}"}
