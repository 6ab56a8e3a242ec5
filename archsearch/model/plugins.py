"""Blocks that other packages and scripts add to the model language. No torch.

An installed package names a module that registers them in the entry point group `archsearch.blocks`; the environment
variable ARCHSEARCH_PLUGINS names importable modules, separated by commas. Worker processes inherit it.
"""

import importlib
import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

import archsearch.model.blocks  # noqa: F401 # registers archsearch's own
from archsearch.errors import PluginError, first_line
from archsearch.model.blocks.base import Block, registered_blocks

GROUP, VARIABLE = "archsearch.blocks", "ARCHSEARCH_PLUGINS"


def block_types() -> Mapping[str, type[Block]]:
    """All blocks by `type`. Imports the modules of plugins at the first call. Raises `PluginError`."""
    return _loaded(os.environ.get(VARIABLE, ""))


@cache
def _loaded(modules: str) -> Mapping[str, type[Block]]:
    names = {name.strip(): VARIABLE for name in modules.split(",") if name.strip()}
    names |= {entry.value.partition(":")[0]: f"entry point {entry.name}" for entry in entry_points(group=GROUP)}
    for name, source in names.items():
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the module does
            raise PluginError(f"{source}: cannot import {name}: {type(error).__name__}: {first_line(error)}") from error
    return registered_blocks()
