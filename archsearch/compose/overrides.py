"""The command line, parsed and completed for Hydra. Imports nothing heavy: `--cfg job` and `--help` pass through."""

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from archsearch.errors import ConfigError, Problem, ResumeError

CONFIG_NAME = "config"
VERSION_BASE = "1.3"

# Hydra's own flags.
_FLAGS_WITH_VALUE = frozenset(
    "--cfg -c --package -p --config-path -cp --config-name -cn --config-dir -cd --experimental-rerun".split()
)
_FLAGS_WITH_OPTIONAL_VALUE = frozenset(("--info", "-i"))
_INFO = frozenset("all config defaults defaults-tree plugins searchpath".split())  # the values of --info
_CFG = frozenset(("job", "hydra", "all"))
FLAG_CHOICES = {"--cfg": _CFG, "-c": _CFG, "--info": _INFO, "-i": _INFO}  # the values of flags that have a list of them


@dataclass(frozen=True)
class ParsedArguments:
    """A parsed command line.

    `composable` are its overrides for Hydra's compose API, with the folder of `--config-dir`. `only_shows` is set where
    it asks Hydra to show something (help, the configuration) rather than to run.
    """

    composable: list[str]
    multirun: bool
    only_shows: bool
    config_dir: Path | None = None

    @property
    def folders(self) -> list[Path]:
        """Where Hydra looks for options."""
        return [config_folder()] if self.config_dir is None else [config_folder(), self.config_dir]


def config_folder() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def parse_arguments(arguments: Sequence[str]) -> ParsedArguments | None:
    """Parse a command line as Hydra does; None where Hydra will refuse it.

    Raises `ConfigError` if a flag has a wrong value, or `--config-dir` names no folder, which Hydra would ignore.
    """
    parsed, unknown = _parser().parse_known_args(list(arguments))
    if unknown:
        return None
    if parsed.config_dir is not None and not Path(parsed.config_dir).is_dir():
        rule = f"got {parsed.config_dir!r}, must be a folder with options (such as model/mine.yaml)"
        raise ConfigError([Problem("--config-dir", rule)])
    folder = Path(parsed.config_dir).absolute() if parsed.config_dir else None
    searchpath = [] if folder is None else [f"hydra.searchpath=[{quote(folder)}]"]
    shown = (parsed.help, parsed.hydra_help, parsed.cfg, parsed.info, parsed.shell_completion)
    elsewhere = (parsed.config_path, parsed.config_name, getattr(parsed, "experimental_rerun", None))
    only_shows = any(shown) or any(elsewhere)
    return ParsedArguments([*parsed.overrides, *searchpath], parsed.multirun, only_shows, folder)


def complete_arguments(arguments: Sequence[str]) -> list[str]:
    """The command line with what Hydra needs.

    - A setting that the model language knows but the model's YAML does not mention gets the `++` that Hydra wants.
    - A folder `conf` in the working directory is searched for more models, experiments and other options.
    - Flags come first: Hydra's parser does not find overrides on both sides of one.
    """
    flags, overrides = split_flags(arguments)
    own = Path("conf").absolute()
    if own.is_dir() and own != config_folder() and not any(flag.startswith(("--config-dir", "-cd")) for flag in flags):
        flags += ["--config-dir", str(own)]
    return [*flags, *map(complete_override, overrides)]


def complete_override(override: str) -> str:
    """`override` with the `++` that Hydra needs to set what a model's YAML does not mention."""
    override = re.sub(r"^(\+{0,2}augment)\.(degrees|translate|scale)=", r"\1.affine.\2=", override)  # up to 0.1
    return f"++{override}" if _is_model_setting(override) else override


def as_typed(override: str) -> str:
    """The inverse of `complete_override`."""
    bare = override.removeprefix("++")
    return bare if complete_override(bare) == override else override


def key_of(override: str) -> str:
    """The setting or group that `override` is about."""
    return re.split("[=@]", override.lstrip("+~"), maxsplit=1)[0]


def as_word(override: str) -> str:
    """`override` as a word of a shell's command line, in quotes if it has spaces."""
    return f'"{override}"' if " " in override else override


def _parser() -> ArgumentParser:
    """Hydra's parser of flags, which raises `ConfigError` instead of printing its usage."""

    def refuse(message: str) -> NoReturn:
        named = re.match(r"argument (-[^/:]+)[^:]*: ", message)
        flag, rule = (named[1], message[named.end() :]) if named else ("command line", message)
        raise ConfigError([Problem(flag, rule)])

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign] # Hydra makes the parser, so there is no class to derive
    return parser


def resume_of(override: str) -> str | None:
    """The value of a `resume=` override; None for any other. Raises `ResumeError` for an empty value."""
    match = re.fullmatch(r"\+{0,2}resume=(['\"]?)(.*)\1", override, re.DOTALL)
    if match is not None and not match[2]:
        raise ResumeError("resume= is empty; use resume=last, an id, or a folder")
    return None if match is None or match[2] == "null" else match[2]


def split_flags(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line's flags, with their values, and its overrides."""
    flags: list[str] = []
    overrides: list[str] = []
    for position, argument in enumerate(arguments):
        is_value = position > 0 and takes_value(arguments[position - 1], argument)
        (flags if argument.startswith("-") or is_value else overrides).append(argument)
    return flags, overrides


def takes_value(flag: str, word: str) -> bool:
    """Whether `word` is the value of the `flag` before it."""
    abbreviated = len(flag) > 2 and any(option.startswith(flag) for option in _FLAGS_WITH_VALUE)
    return abbreviated or flag in _FLAGS_WITH_VALUE or (flag in _FLAGS_WITH_OPTIONAL_VALUE and word in _INFO)


def flags() -> list[str]:
    """All flags, which are Hydra's."""
    return [option for action in get_args_parser()._actions for option in action.option_strings]


def is_flag(word: str) -> bool:
    """Whether Hydra knows the flag that `word` is, or abbreviates, or has its value attached."""
    name = word.partition("=")[0]
    known = flags()
    if name in known or (word.startswith("--") and any(flag.startswith(name) for flag in known)):
        return True
    try:
        return not word.startswith("--") and not _parser().parse_known_args([word])[1]
    except ConfigError:
        return False


@cache
def model_levels() -> tuple[tuple[re.Pattern[str], frozenset[str]], ...]:
    """Where in a model's configuration which settings are known although its YAML need not mention them."""
    from archsearch.config.schema import names_of
    from archsearch.model.blocks.base import Defaults
    from archsearch.model.heads import HEADS
    from archsearch.model.order import PLACES
    from archsearch.model.plugins import block_types

    of_blocks = frozenset(name for block in block_types().values() for name in names_of(block)) | set(PLACES)
    of_heads = frozenset(name for head in HEADS.values() for name in names_of(head))
    nested = frozenset(name for block in block_types().values() for name in block.nested)
    return (
        (re.compile(r"model\.([a-z_]+)="), frozenset({"width", *names_of(Defaults)})),
        # Without `channels` and `type`, so that a misspelt block is an unknown block and not silently a new one.
        (re.compile(rf"{_block_pattern()}\.([a-z_]+)="), of_blocks - nested - {"channels", "type"}),
        (re.compile(r"model\.head\.([a-z_]+)="), of_heads - {"type"}),
    )


@cache
def _block_pattern() -> str:
    """A pattern for the path of a block at any depth."""
    from archsearch.model.plugins import block_types

    forms: dict[str, list[str]] = {"blocks": [], "branches": []}
    for cls in block_types().values():
        for key, form in cls.nested.items():
            forms[form].append(key)
    blocks, branches = ("|".join(sorted(set(keys))) for keys in forms.values())
    return rf"model\.blocks\.[^.=]+(?:\.(?:{blocks})\.[^.=]+|\.(?:{branches})\.[^.=]+\.[^.=]+)*"


def holds_blocks(names: Sequence[str]) -> bool:
    """Whether the setting with these names holds blocks: `model.blocks`, `model.blocks.stage1.body`."""
    return re.fullmatch(_block_pattern(), ".".join([*names, "x"])) is not None


def model_settings() -> frozenset[str]:
    """The settings of a model itself, whether or not its YAML mentions them."""
    return model_levels()[0][1]


def quote(value: Path | str) -> str:
    """`value` as a quoted string of Hydra's override grammar."""
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _is_model_setting(override: str) -> bool:
    if not override.startswith("model."):
        return False
    return any((match := pattern.match(override)) and match[1] in names for pattern, names in model_levels())
