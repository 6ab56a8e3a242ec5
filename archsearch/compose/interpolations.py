"""Overrides inside a block or head that is an interpolation, such as `conv2: ${.conv1}`. No torch.

OmegaConf cannot set a part of an interpolation: depending on the override, it refuses, forgets all other settings, or
changes the block that is referred to. So such overrides are refused.
"""

import re
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from archsearch.compose.overrides import as_word, key_of
from archsearch.config.schema import format_value
from archsearch.errors import Problem

_ESSENTIAL = {"channels", "type"}  # settings of which every block and head has one, and an override needs no `++`
_LONGEST = 200  # characters of a suggested override


def inside_interpolation(override: str, base: DictConfig, overrides: Sequence[str]) -> Problem | None:
    """What is wrong with `override` if `base` has an interpolation on the way to its setting.

    `base` is the configuration without `overrides`, of which another one may replace that interpolation.
    """
    if not reaches_into_model(override):
        return None
    key, value = key_of(override), override.partition("=")[2]
    replaced = set(map(key_of, overrides)) - {"model"}  # which is the choice of a model
    names = key.split(".")
    node: Any = base
    for depth, name in enumerate(names[:-1], start=1):
        node = node._get_node(name, validate_access=False) if isinstance(node, DictConfig) else None
        if node is None:
            return None
        place = ".".join(names[:depth])
        if place in replaced:
            return None
        if node._is_interpolation():
            changed = None if override.startswith("~") else value
            rule = f"cannot be overridden alone, because `{names[depth - 1]}` is the interpolation {node._value()}"
            use = as_word(f"{place}={_with_change(node, names[depth:], changed)}")
            return Problem(key, f"{rule}; use {use}, or interpolate its settings one by one in the YAML")
    return None


def refuse_interpolations(overrides: Sequence[str], base: DictConfig) -> None:
    """Raise `ValueError`, for `explain`, if one of `overrides` is inside an interpolation of `base`."""
    for override in overrides:
        if inside_interpolation(override, base, overrides) is not None:
            raise ValueError(f"'{override}' is inside an interpolation")


def may_be_inside_interpolations(overrides: Sequence[str], config: DictConfig) -> bool:
    """Whether `config`, to which `overrides` are applied, looks as if one of them was inside an interpolation.

    So it looks where a setting of a block or head was removed, or set in one that has neither channels nor a type, or
    only those that a `++` gave it.
    """
    for override in overrides:
        if not reaches_into_model(override):
            continue
        place, _, name = key_of(override).rpartition(".")
        block = OmegaConf.select(config, place)
        if override.startswith("~") or (override.startswith("++") and name in _ESSENTIAL):
            return True
        if isinstance(block, DictConfig) and not _ESSENTIAL & set(block):
            return True
    return False


def reaches_into_model(override: str) -> bool:
    """Whether `override` is about a setting of a block or of the head."""
    return re.match(r"model\.(head|blocks\.[^.]+)\.", key_of(override)) is not None


def without_values(overrides: Sequence[str]) -> list[str]:
    """`overrides` without those of a model's settings."""
    return [override for override in overrides if not key_of(override).startswith("model.")]


def _with_change(node: Any, names: Sequence[str], value: str | None) -> str:
    """The settings that `node` refers to, with `value` at `names` (None removes it), as an override has them."""
    target = node._maybe_dereference_node()
    settings: Any = OmegaConf.to_container(target, resolve=True) if isinstance(target, DictConfig) else {}
    inner = settings
    for name in names[:-1]:
        inner = inner.setdefault(name, {}) if isinstance(inner, dict) else {}
    if isinstance(inner, dict):
        inner[names[-1]] = value
        if value is None:
            del inner[names[-1]]
    text = override_text(settings)
    return text if len(text) <= _LONGEST else "{...}"


def override_text(value: object) -> str:
    """`value` as an override has it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {override_text(item)}' for name, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(override_text, value))}]"
    return value if isinstance(value, str) else format_value(value)
