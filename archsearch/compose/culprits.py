"""Which override of a command line is at fault where Hydra, which stops at the first mistake, refused it. No torch."""

import os
import traceback
from collections.abc import Sequence
from pathlib import Path

from hydra import compose
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from archsearch.compose.overrides import CONFIG_NAME, key_of

_HYDRAS_PACKAGES = ("hydra", "omegaconf", "antlr4", "yaml")
_STANDARD_LIBRARY = str(Path(os.__file__).parent)

# Added by the commands themselves.
_OWN_OVERRIDES = (
    "hydra.output_subdir=",
    "hydra/job_logging=",
    "hydra/hydra_logging=",
    "hydra.run.dir=.",
    "hydra.sweep.dir=",
    "hydra.searchpath=",
)


def is_refusal(error: Exception) -> bool:
    """Whether Hydra or a library of its own raised `error`, in whatever class, or called Python so that it did."""
    if isinstance(error, (HydraException, OmegaConfBaseException, ValueError, RecursionError)):
        return True
    if isinstance(error, OSError):
        return False
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    files = [file for file in files if "-packages" in file or not file.startswith(_STANDARD_LIBRARY)]
    return any(f"{os.sep}{package}{os.sep}" in file for file in files[-1:] for package in _HYDRAS_PACKAGES)


def culprit_of(error: Exception, overrides: Sequence[str]) -> str | None:
    """The one of `overrides` because of which Hydra raised `error`, if it is one. Hydra must be initialised."""
    named = next((override for override in overrides if _concerns(error, override)), None)
    return named or _by_elimination(overrides)


def valid_part(error: Exception, override: str) -> list[str]:
    """What remains of `override`: its other options, if it is a list in which Hydra refused one."""
    options, unknown = _options(override), str(getattr(error, "missing_cfg_file", None)).rpartition("/")[2]
    others = [option for option in options if option != unknown]
    return [f"{override.partition('=')[0]}=[{','.join(others)}]"] if 0 < len(others) < len(options) else []


def _concerns(error: Exception, override: str) -> bool:
    """Whether Hydra raised `error` because of `override`."""
    missing = getattr(error, "missing_cfg_file", None)
    if missing is not None:
        group, _, option = missing.rpartition("/")
        return option in _options(override) and key_of(override) == (group or missing)
    if isinstance(error, OverrideParseException):
        return error.override == override
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        file = Path(error.problem_mark.name)
        return key_of(override) == file.parent.name and file.stem in _options(override)
    if isinstance(error, TypeError) and "not iterable" in str(error):  # where options in a list are numbers
        return "=[" in override and "." not in key_of(override)
    if "must be a string or a list" in str(error):  # Hydra does not name the group
        return "." not in key_of(override) and override.endswith("=null")
    return f"'{key_of(override)}'" in str(error) or override in str(error)


def _by_elimination(overrides: Sequence[str]) -> str | None:
    """The override without which Hydra accepts `overrides`, or the only one that is about Hydra itself."""
    if not _composes(overrides):
        for position, override in enumerate(overrides):
            others = [*overrides[:position], *overrides[position + 1 :]]
            if not override.startswith(_OWN_OVERRIDES) and _composes(others):
                return override
    about_hydra = [override for override in overrides if key_of(override).startswith("hydra")]
    about_hydra = [override for override in about_hydra if not override.startswith(_OWN_OVERRIDES)]
    return about_hydra[0] if len(about_hydra) == 1 else None


def _composes(overrides: Sequence[str]) -> bool:
    try:
        compose(CONFIG_NAME, overrides=list(overrides))
    except Exception:  # Hydra, OmegaConf and ANTLR each have their own
        return False
    return True


def _options(override: str) -> list[str]:
    """The options that `override` chooses: one, or those of a list."""
    value = override.partition("=")[2]
    return [option.strip() for option in value[1:-1].split(",")] if value.startswith("[") else [value]
