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
from archsearch.runs import find_run

CONFIG_NAME = "config"
VERSION_BASE = "1.3"


def config_folder() -> Path:
    """`conf/`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def for_hydra(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra needs it.

    - A setting that a block, a head or a model may have, but that its YAML does not mention, can be set without `+`.
    - A folder `conf` in the working directory is searched for more models, experiments and the like.
    - `resume=` goes on in the folder of its run, and leaves the `.hydra` there alone.
    """
    ready = [f"++{word}" if _is_model_setting(word) else word for word in arguments]
    own = Path("conf").absolute()
    if own.is_dir() and own != config_folder() and not any(w.startswith(("--config-dir", "-cd")) for w in arguments):
        ready += ["--config-dir", str(own)]
    for position, word in enumerate(ready):
        match = re.fullmatch(r"\+{0,2}resume=(['\"]?)(.+)\1", word, re.DOTALL)
        if match and match[2] != "null":
            if {"-m", "--multirun"} & set(arguments):
                raise ResumeError(f"{word}: continues one run; leave out -m")
            # Quoted, because an id can look like a number, and a path can hold what Hydra's grammar reads as its own.
            ready[position] = f"resume={quoted(match[2])}"
            return [*ready, f"hydra.run.dir={quoted(find_run(match[2]))}", "hydra.output_subdir=null"]
    return ready


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
    from archsearch.schema import names_of
    from archsearch.spec import BLOCKS, HEADS, Defaults

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


def _is_model_setting(word: str) -> bool:
    if not word.startswith("model."):
        return False
    return any((match := pattern.match(word)) and match[1] in names for pattern, names in model_levels())
