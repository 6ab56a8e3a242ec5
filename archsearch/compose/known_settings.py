"""Every setting that a configuration can have, whether or not its YAML mentions it. No torch."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from archsearch.compose.composition import compose_config, plain_values
from archsearch.compose.overrides import complete_arguments
from archsearch.config.schema import allowed_values, groups_of, names_of, nested_in
from archsearch.config.search import SpaceSettings
from archsearch.config.settings import Settings
from archsearch.model.blocks.base import Defaults
from archsearch.model.heads import HEADS
from archsearch.model.order import Place
from archsearch.model.plugins import block_types
from archsearch.model.spec import Width


def known_settings(config: Mapping[str, Any]) -> dict[str, list[type]]:
    """The path of every setting with the classes that have it, for the options and the blocks of `config`."""
    places: dict[str, list[type]] = {}

    def add(prefix: str, classes: Sequence[type]) -> None:
        for cls in classes:
            for name in names_of(cls):
                places.setdefault(f"{prefix}{name}", []).append(cls)
            for name, inner in nested_in(cls).items():
                if cls is not SpaceSettings:  # limits of architectures stand in a file
                    add(f"{prefix}{name}.", [inner])

    groups = groups_of(Settings)
    places |= {name: [Settings] for name in names_of(Settings) if name not in groups}
    for group, classes in groups.items():
        chosen = config.get(group)
        kind = chosen.get("type") if isinstance(chosen, Mapping) else None
        add(f"{group}.", [cls for cls in classes if kind is None or kind in allowed_values(cls, "type")])
    data = config.get("data")
    if isinstance(data, Mapping):  # each kind of data set has settings of its own
        places = {path: classes for path, classes in places.items() if path[:5] != "data." or path[5:] in data}
    add("model.", [Defaults, Width])
    for block, cls in blocks_of(config).items():
        add(f"model.blocks.{block}.", [*(block_types().values() if cls is None else [cls]), Place])
    add("model.head.", list(HEADS.values()))
    return {path: classes for path, classes in places.items() if not path.startswith("sweep_run")}


def blocks_of(config: Mapping[str, Any]) -> dict[str, type | None]:
    """The blocks in the model of `config`, plain values that may be invalid, with their classes: None if unknown.

    Blocks in blocks have their path, such as `stage1.body.conv1`.
    """
    model = config.get("model")
    blocks: dict[str, type | None] = {}
    pending = [("", model.get("blocks") if isinstance(model, Mapping) else None)]
    while pending:
        prefix, group = pending.pop(0)
        for name, values in group.items() if isinstance(group, Mapping) else ():
            kind = values.get("type", "conv") if isinstance(values, Mapping) else None
            cls = block_types().get(kind) if isinstance(kind, str) else None
            blocks[f"{prefix}{name}"] = cls
            for key, form in cls.nested.items() if cls is not None else ():
                inner = values.get(key)
                if form == "blocks":
                    pending.append((f"{prefix}{name}.{key}.", inner))
                elif isinstance(inner, Mapping):
                    pending += [(f"{prefix}{name}.{key}.{branch}.", child) for branch, child in inner.items()]
    return blocks


def options_with(setting: str) -> list[str]:
    """The options of a group (`multistep` of `scheduler`) that have `setting` (`scheduler.gamma`)."""
    group, _, name = setting.rpartition(".")
    classes = groups_of(Settings).get(group, [])
    return [kind for cls in classes if name in names_of(cls) for kind in allowed_values(cls, "type")]


def likely_config(words: Sequence[str]) -> dict[str, Any]:
    """The configuration that the overrides among `words` compose, or else the default one; empty without either."""
    overrides = [word for word in words if "=" in word and "," not in word and not word.startswith("-")]
    for arguments in (overrides, []):
        with suppress(Exception):  # Hydra, OmegaConf and ANTLR each have their own
            return plain_values(compose_config(complete_arguments(arguments)))
    return {}
