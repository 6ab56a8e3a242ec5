"""Tab completion of the console script: subcommands, flags, groups, settings and their choices. No torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archsearch.compose.known_settings import blocks_of, known_settings, likely_config
from archsearch.compose.option_files import group_options
from archsearch.compose.overrides import FLAG_CHOICES, flags, holds_blocks
from archsearch.compose.words import COMMANDS
from archsearch.config.schema import allowed_values, groups_of
from archsearch.config.settings import Settings
from archsearch.model.order import HEAD, PLACES


@dataclass(frozen=True)
class Offers:
    """What a command offers instead of the settings of training.

    `settings` and `flags` are all that it takes; `more` are settings beside those of training. `values` lists the
    values of settings of which the configuration knows no choices.
    """

    settings: Sequence[str] | None = None
    more: Sequence[str] = ()
    flags: Sequence[str] | None = None
    values: Mapping[str, Callable[[], list[str]]] = field(default_factory=dict)


def completions(line: str, offers: Mapping[str, Offers] | None = None) -> list[str]:
    """What can follow the command `line` (as in bash's COMP_LINE), each with what of its last word is typed already.

    `offers` are those of the subcommands; "train" is the command without one.
    """
    words = line.split()
    current = "" if line.endswith(" ") or not words else words.pop()
    before = words[1:]
    command = before[0] if before and before[0] in COMMANDS else "train"
    offer = (offers or {}).get(command, Offers())
    if before and before[-1] in FLAG_CHOICES:
        candidates: list[str] = sorted(FLAG_CHOICES[before[-1]])
    elif command == "help":
        candidates = [*group_options(), *groups_of(Settings), *(name for name in COMMANDS if name != "help")]
    elif command == "schema":
        from archsearch.compose.json_schema import schema_names

        candidates = ["--help"] if current.startswith("-") else schema_names()
    elif current.startswith("-"):
        candidates = list(flags() if offer.flags is None else offer.flags)
    elif current.startswith("~"):
        candidates = [f"~model.blocks.{block}" for block in blocks_of(likely_config(before))]
    elif "=" in current:
        setting, _, typed = current.partition("=")
        done = typed[: 1 + max(typed.rfind(","), typed.rfind("["))]  # of a list, or a sweep over several values
        name = setting.lstrip("+")
        choices = offer.values[name]() if name in offer.values else _choices(name, before)
        candidates = [f"{setting}={done}{choice}" for choice in choices]
    elif offer.settings is not None:
        candidates = [f"{setting}=" for setting in offer.settings]
    else:
        candidates = [*_settings(current, before), *(f"{setting}=" for setting in offer.more)]
    if not before and not current.startswith(("-", "~")):
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
    config = likely_config(before)
    block, _, name = setting.rpartition(".")
    holder = block.rpartition(".")[0]
    if name in PLACES and holds_blocks(holder.split(".")):
        paths = [f"model.blocks.{path}" for path in blocks_of(config)]
        names = [path.rpartition(".")[2] for path in paths if path.rpartition(".")[0] == holder and path != block]
        return [*names, HEAD] if (holder, name) == ("model.blocks", "before") else names
    return [choice for cls in known_settings(config).get(setting, ()) for choice in allowed_values(cls, name)]
