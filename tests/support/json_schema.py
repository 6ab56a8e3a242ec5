"""Values against a JSON Schema, as an editor sees them."""

import json
from typing import Any

from jsonschema import Draft202012Validator


def refusals(schema: dict[str, Any], values: object) -> dict[str, str]:
    """Why `schema` refuses `values`: messages by the path of the value that is wrong."""
    plain = json.loads(json.dumps(values))  # YAML's keys need not be text
    messages: dict[str, str] = {}
    for error in Draft202012Validator(schema).iter_errors(plain):
        path = error.json_path.removeprefix("$").removeprefix(".")
        messages[path] = f"{messages[path]}; {error.message}" if path in messages else error.message
    return messages
