"""The settings of blocks and heads as Markdown tables, for docs/model-language.md. No torch."""

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from archsearch.config.schema import default_of, descriptions_of, format_value, names_of
from archsearch.model.blocks.base import Block, Defaults, inherited_settings
from archsearch.model.heads import HEADS
from archsearch.model.order import PLACES, Place
from archsearch.model.plugins import block_types
from archsearch.system.atomic import write_text

# What the page holds around these tables; `python -m archsearch.model.reference docs/model-language.md` updates it.
BEGIN, END = "<!-- Made by archsearch/model/reference.py -->", "<!-- The end of what it made -->"
_COMMON = frozenset(names_of(Defaults))


def reference() -> str:
    """A section for what all blocks inherit, for each type of block, and for each type of head."""
    parts = [
        "## Settings of the model",
        "",
        "Every block that has them takes them from the model unless it sets them itself.",
        "",
    ]
    parts += [*_table(Defaults, names_of(Defaults)), "", "## Blocks", ""]
    parts += ["Every block has a `type`, `conv` unless it is set, and can have one of these settings:", ""]
    parts += [*_table(Place, PLACES), ""]
    for kind, cls in block_types().items():
        parts += _section(kind, cls)
    parts += ["## Heads", ""]
    for kind, head in HEADS.items():
        parts += _section(kind, head)
    return "\n".join(parts).rstrip() + "\n"


def _section(kind: str, cls: type) -> Iterator[str]:
    yield from (f"### `{kind}`", "", inspect.cleandoc(cls.__doc__ or ""), "")
    own = [name for name in names_of(cls) if name != "type" and not (issubclass(cls, Defaults) and name in _COMMON)]
    inherits = inherited_settings(cls) if issubclass(cls, Block) else ()
    if own:
        yield from (*_table(cls, own), "")
    if inherits:
        yield from (f"Inherits {', '.join(f'`{name}`' for name in inherits)}.", "")


def _table(cls: type, names: "tuple[str, ...] | list[str]") -> Iterator[str]:
    hints, descriptions = get_type_hints(cls, include_extras=True), descriptions_of(cls)
    nested: Mapping[str, str] = getattr(cls, "nested", {})
    yield from ("| setting | values | default | |", "|---|---|---|---|")
    for name in names:
        values = f"{nested[name]} by name" if name in nested else _values(hints[name])
        value = default_of(cls, name)
        default = "required" if name in nested or value is MISSING else _text(value)
        yield f"| `{name}` | {values} | {default} | {descriptions.get(name, '').replace('|', ',')} |"


def _values(annotation: Any, bounds: tuple[Any, ...] = ()) -> str:
    """What an annotation allows, in words."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        limits = [limit for item in metadata for limit in getattr(item, "metadata", [item])]
        return _values(inner, tuple(limits))
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_values(member) for member in get_args(annotation)))
    if origin is tuple:
        members = get_args(annotation)
        if members[-1] is Ellipsis:
            return f"list of {_values(members[0])}"
        return f"list of {len(members)}"
    names = {bool: "`true`, `false`", NoneType: "`null`", str: "text", int: "whole number", float: "number"}
    return f"{names[annotation]}{_range(bounds)}"


def _range(bounds: tuple[Any, ...]) -> str:
    """The lower bound, and the upper one if people can meet it."""
    parts = []
    for bound in bounds:
        if isinstance(bound, Ge):
            parts.append(f"at least {bound.ge}")
        elif isinstance(bound, Gt):
            parts.append(f"more than {bound.gt}")
        elif isinstance(bound, Lt):
            parts.append(f"less than {bound.lt}")
        elif isinstance(bound, Le) and isinstance(bound.le, int) and bound.le <= 1000:
            parts.append(f"at most {bound.le}")
    return f" {', '.join(parts)}" if parts else ""


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value if isinstance(value, str) else format_value(value)}`"


def updated(page: str) -> str:
    """`page` with the present tables. Raises `ValueError` if it has no place for them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must contain {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        write_text(path, updated(path.read_text(encoding="utf-8")))
