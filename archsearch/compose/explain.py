"""Errors of the command line that Hydra refused, in archsearch's words and all at once. No torch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from archsearch.compose.composition import plain_values
from archsearch.compose.overrides import (
    CONFIG_NAME,
    VERSION_BASE,
    complete_arguments,
    config_folder,
    model_levels,
    parse_arguments,
)
from archsearch.compose.validate import validate
from archsearch.config.schema import show
from archsearch.errors import ConfigError, Problem, did_you_mean, first_line


def explain(error: Exception, arguments: Sequence[str]) -> ConfigError:
    """Everything that is wrong with the command line `arguments`, which Hydra refused with `error`.

    Hydra stops at the first mistake. So the override at fault is taken out and the rest composed again, until Hydra
    accepts what is left; that is then validated as usual.
    """
    parsed = parse_arguments(complete_arguments(arguments))
    overrides = _without_sweeps(parsed.composable if parsed is not None else [])
    refused: list[tuple[Exception, str]] = []
    with _fresh_hydra():
        while True:
            culprit = next((override for override in overrides if _is_about(error, override)), None)
            if culprit is None:
                known = plain_values(compose(CONFIG_NAME))
                other: tuple[Problem, ...] = (Problem("command line", _compact(error)),)
                break
            refused.append((error, culprit))
            overrides.remove(culprit)
            try:
                known = plain_values(compose(CONFIG_NAME, overrides=overrides))
            except Exception as next_error:  # Hydra, OmegaConf and ANTLR each have their own
                error = next_error
            else:
                result = validate(known)
                other = (*result.problems, *result.violations)
                break
    return ConfigError([*(_explained(reason, culprit, known) for reason, culprit in refused), *other])


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


def _key(word: str) -> str:
    return re.split("[=@]", word.lstrip("+~"), maxsplit=1)[0]


def _without_sweeps(overrides: Sequence[str]) -> list[str]:
    """Each override with the first value that it sweeps over."""
    parser, single = OverridesParser.create(), []
    for word in overrides:
        try:
            override = parser.parse_override(word)
            if override.is_sweep_override() and not override.is_interval_sweep():
                word = f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"  # noqa: PLW2901
        except HydraException:
            pass  # as it is: a pattern, or what Hydra will refuse
        single.append(word)
    return single


def _is_about(error: Exception, word: str) -> bool:
    missing = getattr(error, "missing_cfg_file", None)
    if missing is not None:
        return word.endswith(f"={missing.rsplit('/', 1)[-1]}") and _key(word) == missing.rsplit("/", 1)[0]
    if "must be a string or a list" in str(error):  # Hydra does not say which group it means
        return "." not in _key(word) and word.endswith("=null")
    return f"'{_key(word)}'" in str(error) or word in str(error)


def _explained(error: Exception, culprit: str, known: Mapping[str, Any]) -> Problem:
    missing, options = getattr(error, "missing_cfg_file", None), getattr(error, "options", None)
    if missing is not None and options:
        group, _, choice = missing.rpartition("/")
        rule = f"must be one of {', '.join(options)}{did_you_mean(choice, options)}"
        return Problem(group, f"got {show(choice)}, {rule}")
    if re.search(r"Could not override|does not exist", str(error)) and not _exists(_key(culprit), known):
        return _unknown(_key(culprit), known)
    return Problem(_key(culprit), _compact(error))


def _exists(path: str, known: Mapping[str, Any]) -> bool:
    here: Any = known
    for part in path.split("."):
        if not isinstance(here, Mapping) or part not in here:
            return False
        here = here[part]
    return True


def _unknown(path: str, known: Mapping[str, Any]) -> Problem:
    """What is unknown about `path`: the first part of it that is not in `known`."""
    here: Any = known
    parts = path.replace("/", ".").split(".")
    if parts[0] == "hydra":
        return Problem(path, "unknown setting; --cfg hydra shows those of Hydra, its launcher and its sweeper")
    depth = 0
    while depth < len(parts) - 1 and isinstance(here, Mapping) and parts[depth] in here:
        here = here[parts[depth]]
        depth += 1
    part, place = parts[depth], ".".join(parts[: depth + 1])
    names = list(here) if isinstance(here, Mapping) else []
    for pattern, more in model_levels():
        if pattern.match(f"{place}="):
            names += more
    if parts[:depth] == ["model", "blocks"]:
        return Problem(place, f"unknown block{did_you_mean(part, names)}; +{place}={{channels: ...}} adds one")
    return Problem(place, f"unknown setting{did_you_mean(part, names)}")


def _compact(error: Exception) -> str:
    """Hydra's own message, less the markers of its parser."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "\n  ".join(lines) or first_line(error)
