"""What a person may have meant by a setting that does not exist. No torch."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from archsearch.compose.known_settings import blocks_of, known_settings, options_with
from archsearch.compose.option_files import group_options, options_that_set
from archsearch.compose.overrides import as_word, holds_blocks, model_levels
from archsearch.config.schema import allowed_values, format_value, groups_of
from archsearch.config.settings import Settings
from archsearch.errors import Problem, did_you_mean

_CLOSE = 0.75  # similarity from which a setting of another group is suggested
_MOST = 2  # settings that are suggested at once

# Names that other libraries, and people in a hurry, use.
_ALIASES = {
    "act": "activation",
    "bs": "batch_size",
    "gpu": "device",
    "kernel": "kernel_size",
    "kind": "type",
    "learning_rate": "lr",
    "lr_scheduler": "scheduler",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "num_workers": "workers",
    "opt": "optimizer",
    "optim": "optimizer",
    "out_channels": "channels",
    "path": "root",
    "wd": "weight_decay",
}


def similar_settings(path: str, config: Mapping[str, Any]) -> list[str]:
    """The settings that may be meant by `path`: of that name in any group, or of the nearest one. The best ones only.

    `config` are plain values; its options and blocks decide which settings there are.
    """
    names = [_ALIASES.get(name, name) for name in path.split(".")]
    return _same(names, config) or _nearest(names, config)


def unknown_setting(path: str, config: Mapping[str, Any], value: str = "", *, removed: bool = False) -> Problem:
    """Names the first part of `path` that `config` does not have, and what may be meant.

    `value` was to be set; `removed` says that the setting was to be removed, not set.
    """
    names = path.replace("/", ".").split(".")
    if names[0] == "hydra":
        return Problem(path, "unknown setting; --cfg hydra shows those of Hydra, its launcher and its sweeper")
    node: Any = config
    depth = 0
    while depth < len(names) - 1 and isinstance(node, Mapping) and names[depth] in node:
        node = node[names[depth]]
        depth += 1
    unknown, place = names[depth], ".".join(names[: depth + 1])
    if not isinstance(node, Mapping):
        return Problem(place, f"unknown setting, because {'.'.join(names[:depth])} is {format_value(node)}")
    alternatives = list(map(str, node))
    for pattern, settings in model_levels():
        if pattern.match(f"{place}="):
            alternatives += settings
    if holds_blocks(names[:depth]):
        block = value if depth == len(names) - 1 and value.startswith("{") else "{channels: ...}"
        added = "" if removed else f"; {as_word(f'+{place}={block}')} adds one"
        return Problem(place, f"unknown block{did_you_mean(unknown, alternatives)}{added}")
    options = options_with(path)
    if not options and _ALIASES.get(unknown) not in node:
        options = options_that_set(place)
    if options:
        return Problem(place, f"only with {names[0]}={' or '.join(options)}")
    return Problem(place, f"unknown setting{_hint(names, depth, alternatives, config)}")


def _hint(names: list[str], depth: int, alternatives: list[str], config: Mapping[str, Any]) -> str:
    """` (did you mean ...?)` for a setting of which the part at `depth` is unknown, or an empty string.

    First the same names elsewhere, then the nearest name in this place, then the nearest one elsewhere. A misspelt
    group comes before settings of another one.
    """
    meant = [_ALIASES.get(name, name) for name in names]
    here = did_you_mean(names[depth], alternatives)
    same = _same(meant, config, whole=depth == 0 and bool(here))
    if same or here:
        return _or(same) if same else here
    return _or(_nearest(meant, config)) or _elsewhere(meant[-1])


def _or(settings: list[str]) -> str:
    return f" (did you mean {' or '.join(settings)}?)" if settings else ""


def _targets(config: Mapping[str, Any]) -> dict[str, str]:
    """What can be named, with the setting that is meant: `model.head` is `model.head.type`."""
    known = known_settings(config)
    targets = {path: path for path in [*known, *group_options()]}
    channels = {f"model.blocks.{block}": f"model.blocks.{block}.channels" for block in blocks_of(config)}
    targets |= {block: setting for block, setting in channels.items() if setting in known}
    return {"model.head": "model.head.type", **targets}


def _same(names: list[str], config: Mapping[str, Any], *, whole: bool = False) -> list[str]:
    """The settings whose path ends with as many of `names` as possible (with all of them, if `whole`)."""
    targets = _targets(config)
    for start in range(1 if whole else len(names)):
        end = ".".join(names[start:])
        matches = {setting for path, setting in targets.items() if path == end or path.endswith(f".{end}")}
        matches = {setting for setting in matches if setting.startswith(f"{names[0]}.")} or matches
        least = min((setting.count(".") for setting in matches), default=0)
        nearest = sorted(setting for setting in matches if setting.count(".") == least)
        if len(nearest) > _MOST and all(setting.startswith("model.blocks.") for setting in nearest):
            return [f"model.blocks.NAME.{end}"]
        if nearest:
            return nearest if len(nearest) <= _MOST else []
    return []


def _nearest(names: list[str], config: Mapping[str, Any]) -> list[str]:
    """The settings with the name that is nearest to the last one of `names`, in any group."""
    places: dict[str, list[str]] = {}
    for path, setting in _targets(config).items():
        places.setdefault(path.rpartition(".")[2], []).append(setting)
    close = get_close_matches(names[-1], places, n=1, cutoff=_CLOSE)
    return _same([*names[:-1], close[0]], config) if close else []


def _elsewhere(name: str) -> str:
    """` (did you mean scheduler.gamma, with scheduler=multistep?)` for a setting of an option that is not chosen."""
    for group, classes in groups_of(Settings).items():
        options = options_with(f"{group}.{name}")
        if options and len(options) < sum(len(allowed_values(cls, "type")) for cls in classes):
            return f" (did you mean {group}.{name}, with {group}={' or '.join(options)}?)"
    return ""
