"""Tab completion of the console script: subcommands, flags, groups, settings and their choices. No torch."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hydra._internal.utils import get_args_parser

from archsearch.compose.composition import compose_config, group_options, plain_values
from archsearch.compose.overrides import complete_arguments
from archsearch.config.schema import allowed_values, groups_of, names_of
from archsearch.config.settings import Settings
from archsearch.model.spec import BLOCKS, HEADS, Defaults

SUBCOMMANDS = ("train", "check", "report", "ui", "help")


def completions(line: str) -> list[str]:
    """What can follow the command `line` (as in bash's COMP_LINE), each with what of its last word is typed already."""
    words = line.split()
    current = "" if line.endswith(" ") or not words else words.pop()
    before = words[1:]
    if before[:1] == ["help"]:
        candidates: list[str] = [*group_options(), *groups_of(Settings)]
    elif current.startswith("-"):
        candidates = [option for action in get_args_parser()._actions for option in action.option_strings]
        candidates.append("--version")
    elif "=" in current:
        setting, _, typed = current.partition("=")
        done, comma, _ = typed.rpartition(",")  # of a sweep over several values
        candidates = [f"{setting}={done}{comma}{choice}" for choice in _choices(setting.lstrip("+"), before)]
    else:
        candidates = list(_settings(current, before))
        if not before:
            candidates += SUBCOMMANDS
    return sorted({candidate for candidate in candidates if candidate.startswith(current)})


def _settings(current: str, before: Sequence[str]) -> Iterator[str]:
    """Groups, and settings one level below what is typed."""
    for group in group_options():
        yield f"{group}="
    level = current.count(".") + 1
    for path in _places(before):
        names = path.split(".")
        yield f"{path}=" if len(names) <= level else f"{'.'.join(names[:level])}."


def _choices(setting: str, before: Sequence[str]) -> list[str]:
    options = group_options()
    if setting in options:
        return options[setting]
    name = setting.rpartition(".")[2]
    return [choice for cls in _places(before).get(setting, ()) for choice in allowed_values(cls, name)]


def _places(before: Sequence[str]) -> dict[str, list[type]]:
    """Every setting's path with the classes that have it, for the configuration that the words before compose."""
    config = _config(before)
    places: dict[str, list[type]] = {}

    def add(prefix: str, classes: Sequence[type]) -> None:
        for cls in classes:
            for name in names_of(cls):
                places.setdefault(f"{prefix}{name}", []).append(cls)

    groups = groups_of(Settings)
    places |= {name: [Settings] for name in names_of(Settings) if name not in groups}
    for group, classes in groups.items():
        chosen = config.get(group)
        kind = chosen.get("type") if isinstance(chosen, Mapping) else None
        add(f"{group}.", [cls for cls in classes if kind is None or kind in allowed_values(cls, "type")])
    add("model.", [Defaults])
    for block in config.get("model", {}).get("blocks", {}):
        add(f"model.blocks.{block}.", list(BLOCKS.values()))
    add("model.head.", list(HEADS.values()))
    return {path: classes for path, classes in places.items() if not path.startswith("sweep_run")}


def _config(before: Sequence[str]) -> dict[str, Any]:
    overrides = [word for word in before if "=" in word and "," not in word]
    for arguments in (overrides, []):
        with suppress(Exception):  # Hydra, OmegaConf and ANTLR each have their own
            return plain_values(compose_config(complete_arguments(arguments)))
    return {}
