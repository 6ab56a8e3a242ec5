"""Experiments with small convolutional architectures: described as YAML, checked by arithmetic, trained, compared.

The command line is the main way in (`python -m archsearch model=session4`). From Python:

    spec, problems = parse_model({"blocks": {"conv1": {"channels": 12}}, "head": {"type": "gap"}})
    network = plan(spec, input_shape=(1, 28, 28), classes=10)   # shapes, parameters, MACs, receptive field; no torch
    module = build(spec, (1, 28, 28), 10)                       # torch.nn.Sequential of named blocks
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archsearch.errors import ArchsearchError, ConfigError, Problem, RunError, UserError
    from archsearch.model.builder import build
    from archsearch.model.plan import Layer, Plan, plan
    from archsearch.model.spec import ModelSpec, parse_model
    from archsearch.model.table import layer_table

__version__ = "0.1.0"
__all__ = [
    "ArchsearchError",
    "ConfigError",
    "Layer",
    "ModelSpec",
    "Plan",
    "Problem",
    "RunError",
    "UserError",
    "__version__",
    "build",
    "layer_table",
    "parse_model",
    "plan",
]

_HOMES = {
    "model.builder": ("build",),
    "errors": ("ArchsearchError", "ConfigError", "Problem", "RunError", "UserError"),
    "model.plan": ("Layer", "Plan", "plan"),
    "model.spec": ("ModelSpec", "parse_model"),
    "model.table": ("layer_table",),
}


def __getattr__(name: str) -> object:
    # Imported when first used: `python -m archsearch --help` must not wait for torch.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"archsearch.{module}"), name)
    raise AttributeError(f"module 'archsearch' has no attribute {name!r}")
