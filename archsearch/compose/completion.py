"""Tab completion of the console script: subcommands, flags, groups, settings and their choices. No torch."""

from collections.abc import Iterator, Sequence

from archsearch.compose.composition import group_options
from archsearch.compose.known_settings import known_settings, likely_config
from archsearch.compose.overrides import flags
from archsearch.compose.words import COMMANDS
from archsearch.config.schema import allowed_values, groups_of
from archsearch.config.settings import Settings


def completions(line: str) -> list[str]:
    """What can follow the command `line` (as in bash's COMP_LINE), each with what of its last word is typed already."""
    words = line.split()
    current = "" if line.endswith(" ") or not words else words.pop()
    before = words[1:]
    if before[:1] == ["help"]:
        candidates: list[str] = [*group_options(), *groups_of(Settings)]
    elif current.startswith("-"):
        candidates = flags()
    elif "=" in current:
        setting, _, typed = current.partition("=")
        done, comma, _ = typed.rpartition(",")  # of a sweep over several values
        candidates = [f"{setting}={done}{comma}{choice}" for choice in _choices(setting.lstrip("+"), before)]
    else:
        candidates = list(_settings(current, before))
        if not before:
            candidates += COMMANDS
    return sorted({candidate for candidate in candidates if candidate.startswith(current)})


def _settings(current: str, before: Sequence[str]) -> Iterator[str]:
    """Groups, and settings one level below what is typed."""
    for group in group_options():
        yield f"{group}="
    level = current.count(".") + 1
    for path in known_settings(likely_config(before)):
        names = path.split(".")
        yield f"{path}=" if len(names) <= level else f"{'.'.join(names[:level])}."


def _choices(setting: str, before: Sequence[str]) -> list[str]:
    options = group_options()
    if setting in options:
        return options[setting]
    name = setting.rpartition(".")[2]
    return [
        choice for cls in known_settings(likely_config(before)).get(setting, ()) for choice in allowed_values(cls, name)
    ]
