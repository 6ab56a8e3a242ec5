"""Experiments with small convolutional architectures: described as YAML, checked by arithmetic, trained, compared.

The command line is the main way in (`python -m archsearch model=session4`). From Python:

    spec, problems = parse_model({"blocks": {"conv1": {"channels": 12}}, "head": {"type": "gap"}})
    network = plan(spec, input_shape=(1, 28, 28), classes=10)   # shapes, parameters, MACs, receptive field; no torch
    module = build(spec, (1, 28, 28), 10)                       # torch.nn.Sequential of named blocks
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archsearch.builder import build
    from archsearch.errors import ArchsearchError, ConfigError, Problem, RunError, UserError
    from archsearch.shapes import Layer, Plan, plan
    from archsearch.spec import ModelSpec, parse_model
    from archsearch.summary import layer_table

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
    "builder": ("build",),
    "errors": ("ArchsearchError", "ConfigError", "Problem", "RunError", "UserError"),
    "shapes": ("Layer", "Plan", "plan"),
    "spec": ("ModelSpec", "parse_model"),
    "summary": ("layer_table",),
}


def __getattr__(name: str) -> object:
    # Imported when first used: `python -m archsearch --help` must not wait for torch.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"archsearch.{module}"), name)
    raise AttributeError(f"module 'archsearch' has no attribute {name!r}")
