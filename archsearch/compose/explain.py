"""Errors of the command line that Hydra refused, in archsearch's words and all at once. No torch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode

from archsearch.compose.composition import compose_config, plain_values
from archsearch.compose.culprits import culprit_of, valid_part
from archsearch.compose.interpolations import inside_interpolation, override_text, reaches_into_model, without_values
from archsearch.compose.option_files import group_options, problem_of_file, unknown_option
from archsearch.compose.overrides import (
    CONFIG_NAME,
    VERSION_BASE,
    as_typed,
    as_word,
    complete_arguments,
    config_folder,
    key_of,
    parse_arguments,
    quote,
)
from archsearch.compose.suggestions import unknown_setting
from archsearch.compose.validate import FindDataset, named_dataset, validate
from archsearch.errors import ConfigError, Problem, UserError, first_line


def explain(error: Exception, arguments: Sequence[str], find_dataset: FindDataset | None = None) -> ConfigError:
    """Everything that is wrong with the command line `arguments`, which Hydra refused with `error`.

    Hydra stops at the first mistake. So the override at fault is taken out and the rest composed again, until Hydra
    accepts what remains; that is then validated as usual, for the images of the data set that `find_dataset` finds.
    """
    parsed = parse_arguments(complete_arguments(arguments))
    overrides = parsed.composable if parsed is not None else []
    folders = parsed.folders if parsed is not None else [config_folder()]
    remaining = _without_sweeps(overrides)
    # With -m, each of several values is composed on its own, so they are no error.
    several = [] if parsed is None or parsed.multirun else [text for text in overrides if text not in remaining]
    failure: Exception | None = None if several else error
    refused: list[tuple[Exception, str]] = []
    others: tuple[Problem, ...] = ()
    with _fresh_hydra():
        while True:
            if failure is None:
                try:
                    composed = compose(CONFIG_NAME, overrides=remaining, return_hydra_config=True)
                    config = plain_values(composed)
                    base = composed
                    if any(map(reaches_into_model, overrides)):
                        base = compose(CONFIG_NAME, overrides=without_values(remaining))
                except Exception as next_error:  # Hydra, OmegaConf and ANTLR each have their own
                    failure = next_error
                else:
                    interpolated = [
                        override for override in remaining if inside_interpolation(override, base, overrides)
                    ]
                    if interpolated:
                        refused += [(error, override) for override in interpolated]
                        remaining = [override for override in remaining if override not in interpolated]
                        continue
                    several = several if composed.hydra.mode != RunMode.MULTIRUN else []
                    try:
                        result = validate(config, find_dataset or named_dataset)
                        others = (*result.problems, *result.violations)
                    except UserError as invalid:  # of the data
                        subject, _, rule = str(invalid).partition(": ")
                        others = (Problem(subject, rule),)
                    break
            culprit = culprit_of(failure, remaining)
            if culprit is None:
                base = compose(CONFIG_NAME)
                config = plain_values(base)
                others = (problem_of_file(failure, "", folders) or _unattributed(failure),)
                break
            refused.append((failure, culprit))
            position = remaining.index(culprit)
            remaining[position : position + 1] = valid_part(failure, culprit)
            failure = None
    reasons = [
        inside_interpolation(culprit, base, overrides) or _problem(reason, culprit, config, folders)
        for reason, culprit in refused
    ]
    settled = {problem.path for problem in reasons}  # without their overrides, settings have values of nobody's
    problems = [*reasons, *map(_several, several), *(other for other in others if other.path not in settled)]
    return ConfigError(problems or [Problem("command line", _message(error))])


def problems_of(arguments: Sequence[str], find_dataset: FindDataset | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong with the command line `arguments`, whose words have the right form."""
    try:
        arguments = complete_arguments(arguments)
        parsed = parse_arguments(arguments)
        if parsed is not None and parsed.multirun:
            arguments = _without_sweeps(arguments)
        result = validate(plain_values(compose_config(arguments)), find_dataset or named_dataset)
    except ConfigError as error:
        return error.problems
    except Exception as error:  # Hydra, OmegaConf and ANTLR each have their own
        return explain(error, arguments, find_dataset).problems
    return (*result.problems, *result.violations)


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
    is_search = "hydra/sweeper=search" in overrides  # which takes intervals

    def first_value(text: str) -> str:
        try:
            override = parser.parse_override(text)
            values = override.value()
            if isinstance(values, IntervalSweep) and is_search:
                return f"{override.get_key_element()}={values.start}"
            if not override.is_sweep_override() or override.is_interval_sweep():
                return text
            return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
        except (HydraException, ValueError, TypeError, StopIteration):
            return text  # a pattern, an empty sweep, or what Hydra will refuse

    return [first_value(text) for text in overrides]


def _several(override: str) -> Problem:
    """`override` has several values, but it is for a single run."""
    setting, _, values = as_typed(override).partition("=")
    return Problem(setting, f"got {values}, which are several values; add -m for a sweep, or quote it")


def _problem(error: Exception, override: str, config: Mapping[str, Any], folders: Sequence[Path]) -> Problem:
    """What is wrong with `override`; `config` is the configuration without it, `folders` have the options."""
    value = override.partition("=")[2]
    problem = _file_for_a_group(override, folders) or problem_of_file(error, override, folders)
    problem = problem or _problem_of_grammar(error, override, folders) or _problem_of_option(error, override, folders)
    if problem is not None:
        return problem
    if re.search(r"Could not override|does not exist", str(error)) and not _exists(key_of(override), config):
        return unknown_setting(key_of(override), config, value, removed=override.startswith("~"))
    if re.search(r"Could not override|Error merging override", str(error)) and _exists(key_of(override), config):
        return _replaced_group(override, config)
    return Problem(key_of(override), _message(error))


def _problem_of_grammar(error: Exception, override: str, folders: Sequence[Path]) -> Problem | None:
    """What is wrong with `override` if Hydra's grammar does not allow it; None if its option does not exist anyway."""
    if not isinstance(error, OverrideParseException):
        return None
    key, _, value = override.partition("=")
    setting, values = key_of(override), value.split(",")
    if not set(values) <= set(group_options(folders).get(setting, values)):
        return None
    if not _is_parsable(f"{key}=0"):
        return Problem(setting, "a name must consist of letters from A to Z, digits and _")
    if re.match(r"\[|{|\w+\(", value):
        return Problem(setting, f"got {value}, must have its brackets in pairs, and special characters in quotes")
    quoted = ",".join(item if _is_parsable(f"{key}={item}") else quote(item) for item in values)
    return Problem(setting, f'got {value}, must have quotes around special characters: "{key}={quoted}"')


def _is_parsable(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


def _problem_of_option(error: Exception, override: str, folders: Sequence[Path]) -> Problem | None:
    """What is wrong with `override` if it chooses an option that does not exist."""
    missing, options = getattr(error, "missing_cfg_file", None), getattr(error, "options", None)
    if missing is not None and options:
        group, _, option = missing.rpartition("/")
        return unknown_option(group, option, options, folders)
    value = override.partition("=")[2]
    options = group_options(folders).get(key_of(override), [value])
    if value not in options and "@" not in override and not override.startswith("~"):
        return unknown_option(key_of(override), value, options, folders)
    return None


def _file_for_a_group(override: str, folders: Sequence[Path]) -> Problem | None:
    """What is wrong with `override` if it chooses a file instead of an option."""
    group, _, file = override.lstrip("+").partition("=")
    options = group_options(folders).get(group)
    if options is None or not re.search(r"/|\.ya?ml$", file):
        return None
    name = PurePath(file).stem
    example = name if name in options else options[0]
    rule = f"must be a name, as in {group}={example}; those of your own lie in conf/{group}/, or in --config-dir"
    return Problem(group, f"got {file}, {rule}")


def _replaced_group(override: str, config: Mapping[str, Any]) -> Problem:
    """A group of settings cannot be replaced as a whole."""
    key, _, value = override.partition("=")
    group = key_of(override)
    node: Any = config
    for name in group.split("."):
        node = node[name]
    if not isinstance(node, Mapping):  # Hydra refused it for the default option, in place of which there are several
        chosen = group.partition(".")[0]
        rule = f"which Hydra does not know before {chosen} has one of its values; write {as_word(f'++{key}={value}')}"
        return Problem(group, f"got {value}, {rule}")
    settings = list(_flat(key, _parsed(override)))
    if settings:
        return Problem(group, f"got {value}, must be set by its settings: {' '.join(settings)}")
    example = f"{key}.{_first_setting(node) or 'NAME'}=..."
    return Problem(group, f"got {value}, must be set by its settings, as in {example}")


def _first_setting(node: object) -> str:
    """The path of the first setting in the mapping `node`; empty if there is none."""
    if not isinstance(node, Mapping) or not node:
        return ""
    name = next(iter(node))
    return f"{name}.{_first_setting(node[name])}".rstrip(".")


def _parsed(override: str) -> object:
    try:
        return OverridesParser.create().parse_override(override).value()
    except HydraException:
        return None


def _flat(key: str, value: object) -> Iterator[str]:
    """Overrides for each setting in the mapping `value`."""
    for name, item in value.items() if isinstance(value, Mapping) else ():
        if isinstance(item, Mapping):
            yield from _flat(f"{key}.{name}", item)
        else:
            yield as_word(f"{key}.{name}={override_text(item)}")


def _exists(path: str, config: Mapping[str, Any]) -> bool:
    node: Any = config
    for name in path.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return False
        node = node[name]
    return True


def _unattributed(error: Exception) -> Problem:
    """What is wrong with the configuration, where no override is at fault."""
    missing = re.search(r"Interpolation key '(.+?)' not found", str(error))
    path = getattr(error, "full_key", None)
    if missing is not None and path:
        return Problem(path, f"refers to {missing[1]}, which does not exist")
    if path and "Recursive interpolation" in str(error):
        return Problem(path, "is an interpolation that refers to itself")
    return Problem("command line", _message(error))


def _message(error: Exception) -> str:
    """Hydra's own message, without the markers of its parser."""
    if isinstance(error, RecursionError):
        return "refers to itself, or is nested too deeply"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "\n  ".join(lines) or f"Hydra refuses it ({first_line(error)})"
