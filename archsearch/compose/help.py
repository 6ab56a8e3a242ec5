"""`--help`: the groups with their options, and every setting with its value, its meaning and its choices. No torch."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archsearch.compose.composition import compose_config, plain_values
from archsearch.compose.option_files import group_options
from archsearch.compose.overrides import complete_arguments
from archsearch.config.schema import (
    allowed_values,
    default_of,
    descriptions_of,
    groups_of,
    names_of,
    nested_in,
    typed_text,
)
from archsearch.config.settings import Settings
from archsearch.errors import ConfigError, Problem, did_you_mean
from archsearch.model.blocks.base import Defaults
from archsearch.model.heads import HEADS
from archsearch.model.order import PLACES, Place
from archsearch.model.plugins import block_types
from archsearch.model.spec import Width

USAGE = """\
archsearch: experiments with small convolutional networks

  archsearch model=session4             train one run
  archsearch -m model.dropout=0,0.1     train a sweep, in parallel
  archsearch resume=last                continue a run (with -m: a sweep)
  archsearch check model=session4       print its layers (with -m: the plan)
  archsearch draw model=session4        draw it, in SVG and PNG
  archsearch report                     compare the variants of the last sweep
  archsearch predict run=best IMAGES    classify images with a trained network
  archsearch export run=best            ONNX, a torch.export program, source
  archsearch register run=best name=N   add its model to MLflow's registry
  archsearch ui                         open what was recorded in the MLflow UI
  archsearch schema                     print a JSON Schema, for editors
  archsearch help GROUP                 the settings of one group

`python -m archsearch` and `python -m archsearch.check` do the same.
-c job prints the composed configuration, --version the version of archsearch;
--hydra-help lists Hydra's flags."""

CHECK_USAGE = """\
archsearch check: print a model's layers, or the plan of a sweep; trains nothing

  archsearch check model=session4           layers, sizes and parameters
  archsearch check -m model.dropout=0,0.1   the runs of a sweep, with their sizes
  archsearch check model=resnet20 input=3x32x32 classes=100   for images of that size

It takes the settings and the flags of training."""

DRAW_USAGE = """\
archsearch draw: a model as a picture, with shapes, parameters, MACs and receptive fields

  archsearch draw model=session4            outputs/drawings/session4.svg and session4.png
  archsearch draw model=session4 out=a.svg  this file; .svg or .png
  archsearch draw model=resnet20 input=3x32x32 classes=100   for images of that size

It takes the settings of training."""

UI_USAGE = """\
archsearch ui: open what was recorded in the MLflow UI, until Ctrl-C

  archsearch ui                the UI on http://127.0.0.1:5000
  archsearch ui ui.port=5001   on another port"""

SCHEMA_USAGE = """\
archsearch schema: print a JSON Schema, with which editors complete and check YAML

  archsearch schema > archsearch.schema.json     of configurations and experiments
  archsearch schema model > model.schema.json    of the files in conf/model/

It includes the blocks of plugins. docs/editors.md shows how editors use it.
Groups:"""

_USAGES = {"train": USAGE, "check": CHECK_USAGE, "draw": DRAW_USAGE, "ui": UI_USAGE}
_HIDDEN = ("sweep_run",)  # set by the sweep
_NARROW, _WIDE = 60, 100  # columns


def help_text(arguments: Sequence[str] = (), command: str = "train") -> str:
    """The help of `command`, with the values of the configuration that `arguments` compose."""
    if command == "schema":
        from archsearch.compose.json_schema import schema_names

        names = textwrap.wrap(", ".join(schema_names()), _width() - 2)
        return "\n".join([SCHEMA_USAGE, *(f"  {line}" for line in names)])
    config = plain_values(compose_config(complete_arguments(arguments)))
    if command == "ui":
        return "\n".join([UI_USAGE, "", *_current_settings("ui", config), "", *_current_settings("tracking", config)])
    parts = [_USAGES[command], "", "Groups (choose an option with group=option)", ""]
    parts += _columns([(group, ", ".join(options)) for group, options in group_options().items()])
    parts += ["", "Settings (override with name=value)"]
    for group in ["", *groups_of(Settings)]:
        lines = _current_settings(group, config) if group not in _HIDDEN else []
        if len(lines) > 1:
            parts += ["", *lines]
    parts += ["", *_model_settings(config, whole=False)]
    return "\n".join(parts)


def group_help(group: str) -> str:
    """The options of one group, and all their settings. Raises `ConfigError` for an unknown group."""
    groups = {name: classes for name, classes in groups_of(Settings).items() if name not in _HIDDEN}
    options = group_options()
    known = list(dict.fromkeys([*options, *groups]))
    if group not in known:
        hint = did_you_mean(group, known)
        raise ConfigError([Problem("help", f"got {group!r}, must be one of {', '.join(known)}{hint}")])
    config = plain_values(compose_config([]))
    parts = []
    if group in options:
        parts += [*_columns([(f"{group}=", ", ".join(options[group]))]), ""]
    if group == "model":
        return "\n".join([*parts, *_model_settings(config, whole=True)])
    for cls in groups.get(group, []):
        kinds = allowed_values(cls, "type") if len(groups[group]) > 1 else []
        for kind in kinds:
            chosen = plain_values(compose_config([f"{group}={kind}"]))[group] if kind in options.get(group, []) else {}
            parts += [*_section(cls, group, chosen, f"{group}={kind}"), ""]
        if not kinds:
            parts += [*_section(cls, group, {name: {} for name in nested_in(cls)} | config[group]), ""]
    return "\n".join(parts).rstrip()


def _current_settings(group: str, config: Mapping[str, Any]) -> list[str]:
    """The settings of a group's chosen option, or those that are in no group."""
    if not group:
        names = [name for name in names_of(Settings) if name not in (*groups_of(Settings), *_HIDDEN)]
        return _rows(Settings, "", config, names)
    values = config[group]
    classes = groups_of(Settings)[group]
    by_kind = {kind: cls for cls in classes for kind in allowed_values(cls, "type")} if len(classes) > 1 else {}
    if not by_kind:
        return _section(classes[0], group, values)
    return _section(by_kind[values["type"]], group, values, f"{group} ({values['type']})")


def _model_settings(config: Mapping[str, Any], *, whole: bool) -> list[str]:
    rows = [pair for cls in (Width, Defaults) for pair in _pairs(cls, "model", config["model"], names_of(cls))]
    rows.append(("model.head.type=linear", f"kind of head; {' | '.join(HEADS)}"))
    rows.append(("model.blocks.NAME.type=conv", f"kind of the block NAME; {' | '.join(block_types())}"))
    rows += _pairs(Place, "model.blocks.NAME", {}, PLACES)
    lines = ["model: the network", *_columns(rows)]
    kinds: dict[str, Mapping[str, type]] = {"blocks.NAME": block_types(), "head": HEADS}
    if not whole:
        return [*lines, "  all of model.blocks.NAME and model.head: see `archsearch help model`"]
    for place, classes in kinds.items():
        for kind, cls in classes.items():
            names = [name for name in names_of(cls) if name not in (*names_of(Defaults), "type")]
            if place == "head":
                names = [name for name in names_of(cls) if name != "type"]
            lines += ["", *textwrap.wrap(f"{place} of type {kind}: {_summary(cls)}", _width())]
            lines += _rows(cls, f"model.{place}", {}, names)
    return lines


def _section(cls: type, group: str, values: Mapping[str, Any], title: str = "") -> list[str]:
    names = [name for name in names_of(cls) if name != "type"]
    heading = ": ".join(filter(None, [title or group, _summary(cls) or ("" if names else "no settings")]))
    return [*textwrap.wrap(heading, _width()), *_rows(cls, group, values, names)]


def _summary(cls: type) -> str:
    text = (cls.__doc__ or "").split("\n", 1)[0].rstrip(".")
    return "" if text.startswith(f"{cls.__name__}(") else text  # a dataclass's own


def _rows(cls: type, prefix: str, values: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return list(_columns(_pairs(cls, prefix, values, names)))


def _pairs(cls: type, prefix: str, values: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, str]]:
    """Each setting with its value, and its meaning with its choices."""
    descriptions = descriptions_of(cls)
    rows = []
    for name in names:
        value = values.get(name, _default(cls, name))
        label = f"{prefix}.{name}" if prefix else name
        inner = nested_in(cls).get(name)
        if inner is not None and isinstance(value, Mapping):
            rows += _pairs(inner, label, value, names_of(inner))
            continue
        choices = allowed_values(cls, name)
        meaning = descriptions.get(name, "")
        listed = f"or {choices[0]}" if len(choices) == 1 else " | ".join(choices)
        listed = "" if choices == ["true", "false"] else listed
        rows.append((f"{label}={typed_text(value)}", "; ".join(filter(None, [meaning, listed]))))
    return rows


def _default(cls: type, name: str) -> object:
    default = default_of(cls, name)
    return default if isinstance(default, str | int | float | tuple) or default is None else ""


def _width() -> int:
    return min(max(shutil.get_terminal_size((80, 24)).columns, _NARROW), _WIDE)


def _columns(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Two columns that fit the terminal, the second one wrapped."""
    width = _width()
    left = min(max(len(name) for name, _ in rows), width // 2 - 4) if rows else 0
    for name, meaning in rows:
        lines = textwrap.wrap(meaning, width - left - 4, break_on_hyphens=False) or [""]
        if len(name) > left:
            yield f"  {name}"
            first, others = "", lines
        else:
            first, *others = lines
            yield f"  {name:<{left}}  {first}".rstrip()
        yield from (f"  {'':<{left}}  {line}" for line in others)
