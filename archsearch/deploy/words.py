"""The command lines of predict, export and register: settings of their own, and for predict, names of files."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar, get_type_hints

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from archsearch.compose.labels import unquote
from archsearch.config.schema import STRICT, PositiveInt, format_value, names_of, read
from archsearch.errors import ConfigError, Problem, did_you_mean

T = TypeVar("T", bound="Choice")

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Choice:
    """Which run."""

    run: str = "last"
    """id or folder of a run, last or best"""
    sweep: str = "last"
    """folder or name of the sweep whose best run is meant, or last"""

    def __post_init__(self) -> None:
        if self.run != "best" and self.sweep != "last":
            raise ValueError(f"sweep={self.sweep} goes with run=best, got run={self.run}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PredictOptions(Choice):
    """The settings of predict."""

    top: PositiveInt = 1
    """classes for each image, the most probable first"""
    format: Literal["csv", "json"] = "csv"
    """form of the output"""
    batch_size: PositiveInt = 256
    """images at a time"""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportOptions(Choice):
    """The settings of export."""

    format: str = "onnx,torch,source"
    """files to write"""
    out: str = ""
    """their folder; by default, exports/<id of the run> in outputs/"""
    int8: bool = False
    """write a quantised ONNX file, too"""


# MLflow refuses others only once it has a new model or version, which would stay.
def _check_name(name: str) -> str:
    if "/" in name or ":" in name or not name.strip("."):
        raise ValueError(f"got {format_value(name)}, must be a name without / and :")
    return name


def _check_alias(alias: str) -> str:
    if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        rule = "must be of letters, digits, _ and -, and neither latest nor a version, as in v1"
        raise ValueError(f"got {format_value(alias)}, {rule}")
    return alias


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RegisterOptions(Choice):
    """The settings of register."""

    name: Annotated[str, AfterValidator(_check_name)]
    """name of the model in MLflow's registry"""
    alias: Annotated[str, AfterValidator(_check_alias)] | None = None
    """alias that points at this version from now on"""


def parse(arguments: Sequence[str], options: type[T], *, files: bool = False) -> tuple[T, list[str]]:
    """The settings on a command line, and its other words, which are `files` or invalid. Raises `ConfigError`."""
    kinds = get_type_hints(options)
    settings = names_of(options)
    values: dict[str, object] = {}
    others: list[str] = []
    problems: list[Problem] = []
    for word in arguments:
        name, equals, value = word.partition("=")
        if equals and name in settings:
            values[name] = (
                unquote(value) if str in (kinds[name], *getattr(kinds[name], "__args__", ())) else _typed(value)
            )
        elif files and (word == "-" or not word.startswith("-")) and ("/" in name or not equals):
            others.append(word)
        elif word.startswith("-"):
            problems.append(Problem(word, "unknown flag; see --help"))
        elif equals:
            rule = f"unknown setting{did_you_mean(name, settings)}"
            problems.append(Problem(name, rule + (f"; for a file of this name, write ./{word}" if files else "")))
        else:
            problems.append(
                Problem(word, f"must have the form setting=value{did_you_mean(word, settings)}; see --help")
            )
    problems += [Problem(name, "must not be empty") for name, value in values.items() if value == ""]
    read_options, invalid = read(options, values, "")
    if problems or read_options is None:
        raise ConfigError([*problems, *invalid])
    return read_options, others


def _typed(value: str) -> object:
    """`value` as the flag or the whole number that it is, else as text."""
    return _FLAGS.get(value.lower(), int(value) if value.isascii() and value.isdigit() else value)
