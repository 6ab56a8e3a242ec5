"""What Hydra refuses on the command line, explained: every mistake at once, in our words. No torch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from archsearch.compose.overrides import (
    CONFIG_NAME,
    VERSION_BASE,
    config_folder,
    for_hydra,
    model_levels,
    parse_arguments,
    plain,
)
from archsearch.compose.validate import judge
from archsearch.config.schema import show
from archsearch.errors import ConfigError, Problem, did_you_mean, first_line


def explain(error: Exception, arguments: Sequence[str]) -> ConfigError:
    """Everything that is wrong with a command line that Hydra refused with `error`, in our words and at once."""
    said = parse_arguments(for_hydra(arguments))
    left = _without_sweeps(said.composable if said is not None else [])
    refused: list[tuple[Exception, str]] = []
    with _fresh_hydra():
        while True:
            culprit = next((word for word in left if _is_about(error, word)), None)
            if culprit is None:
                known = plain(compose(CONFIG_NAME))
                rest = [Problem("command line", _compact(error))]
                break
            refused.append((error, culprit))
            left.remove(culprit)
            try:
                known = plain(compose(CONFIG_NAME, overrides=left))
            except Exception as another:  # Hydra, OmegaConf and ANTLR each have their own
                error = another
            else:
                rest = _judged(known)
                break
    return ConfigError([*(_explained(why, culprit, known) for why, culprit in refused), *rest])


@contextmanager
def _fresh_hydra() -> Iterator[None]:
    """A Hydra for composing, whether or not one is at work already."""
    at_work = GlobalHydra.instance().hydra
    GlobalHydra.instance().hydra = None
    try:
        with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
            yield
    finally:
        GlobalHydra.instance().hydra = at_work


def _judged(config: Mapping[str, Any]) -> list[Problem]:
    try:
        judge(config)
    except ConfigError as error:
        return list(error.problems)
    return []


def _key(word: str) -> str:
    return re.split("[=@]", word.lstrip("+~"), maxsplit=1)[0]


def _without_sweeps(overrides: Sequence[str]) -> list[str]:
    """Each override with the first value that it sweeps over."""
    parser, found = OverridesParser.create(), []
    for word in overrides:
        try:
            override = parser.parse_override(word)
            if override.is_sweep_override() and not override.is_interval_sweep():
                word = f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"  # noqa: PLW2901
        except HydraException:
            pass  # as it is: a pattern, or what Hydra will refuse
        found.append(word)
    return found


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
    """Hydra's own words, less the markers of its parser."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "\n  ".join(lines) or first_line(error)
