"""Errors of the command line that Hydra refused, in archsearch's words and all at once. No torch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from archsearch.compose.composition import group_options, plain_values
from archsearch.compose.overrides import (
    CONFIG_NAME,
    VERSION_BASE,
    complete_arguments,
    config_folder,
    model_levels,
    model_settings,
    parse_arguments,
)
from archsearch.compose.validate import validate
from archsearch.config.schema import format_value
from archsearch.errors import ConfigError, Problem, did_you_mean, first_line

# Added by the commands themselves.
_OWN_OVERRIDES = (
    "hydra.output_subdir=",
    "hydra/job_logging=",
    "hydra/hydra_logging=",
    "hydra.run.dir=.",
    "hydra.sweep.dir=",
    "hydra.searchpath=",
)
_CLOSE = 0.75  # similarity from which a setting of another group is suggested


def explain(error: Exception, arguments: Sequence[str]) -> ConfigError:
    """Everything that is wrong with the command line `arguments`, which Hydra refused with `error`.

    Hydra stops at the first mistake. So the override at fault is taken out and the rest composed again, until Hydra
    accepts what remains; that is then validated as usual.
    """
    parsed = parse_arguments(complete_arguments(arguments))
    remaining = _without_sweeps(parsed.composable if parsed is not None else [])
    refused: list[tuple[Exception, str]] = []
    with _fresh_hydra():
        while True:
            culprit = next((override for override in remaining if _concerns(error, override)), None)
            culprit = culprit or _by_elimination(remaining)
            if culprit is None:
                config = plain_values(compose(CONFIG_NAME))
                others: tuple[Problem, ...] = (Problem("command line", _message(error)),)
                break
            refused.append((error, culprit))
            remaining.remove(culprit)
            try:
                config = plain_values(compose(CONFIG_NAME, overrides=remaining))
            except Exception as next_error:  # Hydra, OmegaConf and ANTLR each have their own
                error = next_error
            else:
                result = validate(config)
                others = (*result.problems, *result.violations)
                break
    return ConfigError([*(_problem(reason, culprit, config) for reason, culprit in refused), *others])


@contextmanager
def _fresh_hydra() -> Iterator[None]:
    """A Hydra for composing, whether or not another one is active."""
    active = GlobalHydra.instance().hydra
    GlobalHydra.instance().hydra = None
    try:
        with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
            yield
    finally:
        GlobalHydra.instance().hydra = active


def _without_sweeps(overrides: Sequence[str]) -> list[str]:
    """Each override with the first value that it sweeps over."""
    parser = OverridesParser.create()

    def first_value(text: str) -> str:
        try:
            override = parser.parse_override(text)
            if not override.is_sweep_override() or override.is_interval_sweep():
                return text
            return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
        except (HydraException, ValueError, TypeError, StopIteration):
            return text  # a pattern, an empty sweep, or what Hydra will refuse

    return [first_value(text) for text in overrides]


def _by_elimination(overrides: Sequence[str]) -> str | None:
    """The override without which Hydra accepts `overrides`, or the only one that is about Hydra itself."""
    if not _composes(overrides):
        for position, override in enumerate(overrides):
            if _composes([*overrides[:position], *overrides[position + 1 :]]):
                return override
    about_hydra = [override for override in overrides if _key(override).startswith("hydra")]
    about_hydra = [override for override in about_hydra if not override.startswith(_OWN_OVERRIDES)]
    return about_hydra[0] if len(about_hydra) == 1 else None


def _composes(overrides: Sequence[str]) -> bool:
    try:
        compose(CONFIG_NAME, overrides=list(overrides))
    except Exception:  # Hydra, OmegaConf and ANTLR each have their own
        return False
    return True


def _key(override: str) -> str:
    return re.split("[=@]", override.lstrip("+~"), maxsplit=1)[0]


def _concerns(error: Exception, override: str) -> bool:
    """Whether Hydra raised `error` because of `override`."""
    missing = getattr(error, "missing_cfg_file", None)
    if missing is not None:
        group, _, option = missing.rpartition("/")
        return override.endswith(f"={option}") and _key(override) == (group or missing)
    if "must be a string or a list" in str(error):  # Hydra does not name the group
        return "." not in _key(override) and override.endswith("=null")
    return f"'{_key(override)}'" in str(error) or override in str(error)


def _problem(error: Exception, override: str, config: Mapping[str, Any]) -> Problem:
    """What is wrong with `override`; `config` is the configuration without it."""
    missing, options = getattr(error, "missing_cfg_file", None), getattr(error, "options", None)
    if missing is not None and options:
        group, _, option = missing.rpartition("/")
        rule = f"must be one of {', '.join(options)}{did_you_mean(option, options)}"
        return Problem(group, f"got {format_value(option)}, {rule}")
    options = group_options().get(_key(override))
    value = override.partition("=")[2]
    if options is not None and value not in options and "@" not in override and not override.startswith("~"):
        return Problem(
            _key(override), f"got {value}, must be one of {', '.join(options)}{did_you_mean(value, options)}"
        )
    if re.search(r"Could not override|does not exist", str(error)) and not _exists(_key(override), config):
        return _unknown_setting(_key(override), config)
    if "Could not override" in str(error):
        return _replaced_group(override, config)
    return Problem(_key(override), _message(error))


def _replaced_group(override: str, config: Mapping[str, Any]) -> Problem:
    """A group of settings cannot be replaced as a whole."""
    key, _, value = override.partition("=")
    group = _key(override)
    node: Any = config
    for name in group.split("."):
        node = node[name]
    example = f"{key}.{next(iter(node))}=..." if isinstance(node, Mapping) and node else f"{key}.NAME=..."
    return Problem(group, f"got {value}, must be set by its settings, as in {example}")


def _exists(path: str, config: Mapping[str, Any]) -> bool:
    node: Any = config
    for name in path.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return False
        node = node[name]
    return True


def _unknown_setting(path: str, config: Mapping[str, Any]) -> Problem:
    """Names the first part of `path` that `config` does not have, and the nearest one that it has."""
    names = path.replace("/", ".").split(".")
    if names[0] == "hydra":
        return Problem(path, "unknown setting; --cfg hydra shows those of Hydra, its launcher and its sweeper")
    node: Any = config
    depth = 0
    while depth < len(names) - 1 and isinstance(node, Mapping) and names[depth] in node:
        node = node[names[depth]]
        depth += 1
    unknown, place = names[depth], ".".join(names[: depth + 1])
    alternatives = list(node) if isinstance(node, Mapping) else []
    for pattern, settings in model_levels():
        if pattern.match(f"{place}="):
            alternatives += settings
    hint = did_you_mean(unknown, alternatives)
    if depth == 0 and not hint:
        hint = _elsewhere(unknown, config)
    if names[:depth] == ["model", "blocks"]:
        return Problem(place, f"unknown block{hint}; +{place}={{channels: ...}} adds one")
    return Problem(place, f"unknown setting{hint}")


def _elsewhere(name: str, config: Mapping[str, Any]) -> str:
    """` (did you mean trainer.epochs?)` for `epochs`: the settings of that name, or the nearest one, in any group."""
    places: dict[str, list[str]] = {}
    for group, settings in config.items():
        if isinstance(settings, Mapping):
            known = [*settings, *(model_settings() if group == "model" else ())]
            for setting in dict.fromkeys(known):
                typed = isinstance(settings.get(setting), Mapping) and "type" in settings[setting]
                places.setdefault(str(setting), []).append(f"{group}.{setting}{'.type' if typed else ''}")
    nearest = get_close_matches(name, places, n=1, cutoff=_CLOSE)
    if not nearest:
        return ""
    return f" (did you mean {' or '.join(places[nearest[0]])}?)"


def _message(error: Exception) -> str:
    """Hydra's own message, without the markers of its parser."""
    if isinstance(error, RecursionError):
        return "refers to itself, or is nested too deeply"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "\n  ".join(lines) or f"Hydra refuses it ({first_line(error)})"
