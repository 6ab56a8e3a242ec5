"""The command line, made ready for Hydra. Imports nothing heavy: `--cfg job` and `--help` pass through here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf

from archsearch.errors import ResumeError
from archsearch.runs.folder import find_run, find_sweep, read_sweep

CONFIG_NAME = "config"
VERSION_BASE = "1.3"

# What may be said beside `resume=`: where things lie and how they are run, not what is computed.
_MAY_MOVE = ("data.root=", "tracking", "hydra.", "hydra/", "sweep.", "ui.", "constraints.", "trainer.eval_batch_size=")


def config_folder() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra needs it.

    - A setting that a block, a head or a model may have, but that its YAML does not mention, can be set without `+`.
    - A folder `conf` in the working directory is searched for more models, experiments and the like.
    - Flags come first: Hydra's parser does not find overrides on both sides of one.
    """
    flags, words = _apart(arguments)
    own = Path("conf").absolute()
    if own.is_dir() and own != config_folder() and not any(w.startswith(("--config-dir", "-cd")) for w in flags):
        flags += ["--config-dir", str(own)]
    return [*flags, *map(ready_word, words)]


def ready_word(word: str) -> str:
    """One override, with the `++` that Hydra needs to set what a model's YAML does not mention."""
    return f"++{word}" if _is_model_setting(word) else word


def as_typed(word: str) -> str:
    """`ready_word`, undone."""
    plain = word.removeprefix("++")
    return plain if ready_word(plain) == word else word


def label_of(name: str) -> str:
    """A setting's name, short: `dropout` for `model.dropout`, `conv3.channels` for `model.blocks.conv3.channels`."""
    if name in ("augment.type", "optimizer.type", "scheduler.type"):
        return name.removesuffix(".type")
    prefixes = ("model.blocks.", "model.", "optimizer.", "scheduler.", "trainer.", "data.", "augment.")
    prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
    return name.removeprefix(prefix)


def resume_of(word: str) -> str | None:
    """What a word says to resume, if it says that. Raises `ResumeError` for one that names nothing."""
    match = re.fullmatch(r"\+{0,2}resume=(['\"]?)(.*)\1", word, re.DOTALL)
    if match is not None and not match[2]:
        raise ResumeError("resume= names nothing; say resume=last, an id, or a folder")
    return None if match is None or match[2] == "null" else match[2]


def may_move(word: str) -> bool:
    """Whether an override beside a sweep's `resume=` is about where things lie and how they are run."""
    return word.lstrip("+").startswith(_MAY_MOVE)


def resumed_run(name: str, others: Sequence[str]) -> list[str]:
    """The command line that goes on with run `name`: in its folder, leaving the `.hydra` there alone."""
    folder = quoted(find_run(name))
    # Quoted, because an id can look like a number, and a path can hold what Hydra's grammar reads as its own.
    return [*others, f"resume={quoted(name)}", f"hydra.run.dir={folder}", "hydra.output_subdir=null"]


def resumed_sweep(name: str, others: Sequence[str]) -> list[str]:
    """The command line that goes on with sweep `name` in its folder, with its own overrides if `others` has none."""
    folder = find_sweep(name)
    sweep = read_sweep(folder)
    flags, words = _apart(others)
    keys = {word.split("=", 1)[0] for word in words}
    own = [word for word in sweep["hydra"] if word.split("=", 1)[0] not in keys]
    if all(map(may_move, words)):
        own += sweep["overrides"]
    if sweep["config_dir"] and not any(flag.startswith(("--config-dir", "-cd")) for flag in flags):
        flags += ["--config-dir", *sweep["config_dir"][:1]]
    return [*flags, *own, *words, f"resume={quoted(folder)}", f"hydra.sweep.dir={quoted(folder)}"]


# Of Hydra's own flags.
_TAKES_A_VALUE = frozenset(
    "--cfg -c --package -p --config-path -cp --config-name -cn --config-dir -cd --experimental-rerun".split()
)
_MAY_TAKE_A_VALUE = frozenset(("--info", "-i"))


@dataclass(frozen=True)
class Said:
    """A command line, taken apart. `other` is set where it asks for something else than to run."""

    composable: list[str]  # its overrides as Hydra's compose API wants them, with the folder of --config-dir
    multirun: bool
    other: bool


def parse_arguments(arguments: Sequence[str]) -> Said | None:
    """Take a command line apart as Hydra does; None where Hydra will refuse it."""
    parsed, unknown = get_args_parser().parse_known_args(list(arguments))
    if unknown:
        return None
    searchpath = [f"hydra.searchpath=[{quoted(Path(parsed.config_dir).absolute())}]"] if parsed.config_dir else []
    others = (parsed.help, parsed.hydra_help, parsed.cfg, parsed.info, parsed.shell_completion)
    elsewhere = (parsed.config_path, parsed.config_name, getattr(parsed, "experimental_rerun", None))
    return Said([*parsed.overrides, *searchpath], parsed.multirun, any(others) or any(elsewhere))


def choices_of(hydra_config: Any) -> dict[str, str]:
    """The options that were chosen of the groups, from Hydra's own section; without Hydra's own groups."""
    return {
        str(group): str(choice)
        for group, choice in hydra_config.runtime.choices.items()
        if choice is not None and not str(group).startswith("hydra/")
    }


def task_words(hydra_config: Any) -> tuple[str, ...]:
    """The overrides of the configuration itself, as they were typed, from Hydra's own section."""
    words = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)
    assert isinstance(words, list)
    return tuple(map(str, words))


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain values, interpolations resolved, without Hydra's own section."""
    values = {str(key): config._get_node(key) for key in config if key != "hydra"}
    return {
        key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else config[key]
        for key, node in values.items()
    }


@cache
def model_levels() -> tuple[tuple[re.Pattern[str], frozenset[str]], ...]:
    """Where in a model's configuration which settings may stand that its YAML need not mention."""
    from archsearch.config.schema import names_of
    from archsearch.model.spec import BLOCKS, HEADS, Defaults

    of_blocks = frozenset(name for block in BLOCKS.values() for name in names_of(block))
    of_heads = frozenset(name for head in HEADS.values() for name in names_of(head))
    return (
        (re.compile(r"model\.([a-z_]+)="), frozenset(names_of(Defaults))),
        # Not `channels` and `type`: a misspelt block is then an unknown block, and not silently a new one.
        (re.compile(r"model\.blocks\.[^.=]+\.([a-z_]+)="), of_blocks - {"channels", "type"}),
        (re.compile(r"model\.head\.([a-z_]+)="), of_heads - {"type"}),
    )


def quoted(path: Path | str) -> str:
    """Text as a quoted string of Hydra's override grammar."""
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line's flags, with their values, and its overrides."""
    flags: list[str] = []
    words: list[str] = []
    for position, word in enumerate(arguments):
        before = arguments[position - 1] if position else ""
        is_value = before in _TAKES_A_VALUE or (before in _MAY_TAKE_A_VALUE and word.isalpha())
        (flags if word.startswith("-") or is_value else words).append(word)
    return flags, words


def _is_model_setting(word: str) -> bool:
    if not word.startswith("model."):
        return False
    return any((match := pattern.match(word)) and match[1] in names for pattern, names in model_levels())
