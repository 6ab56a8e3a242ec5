"""Experiments with small convolutional architectures: described as YAML, checked by arithmetic, trained, compared.

The command line is the main way in (`python -m archsearch model=session4`). From Python, with the same words:

    run = archsearch.train("model=session4", "data=digits", "trainer.epochs=2")
    run.metrics                                                          # a pandas DataFrame, one row an epoch
    network = run.network()                                              # nn.Module in eval mode
    sweep = archsearch.run_sweep("model.dropout=0,0.1", "seed=1,2,3")    # sweep.table: one row a run
    model = {"blocks": {"conv1": {"channels": 12}}, "head": {"type": "gap"}}
    plan = archsearch.plan(model, input_shape=(1, 28, 28), classes=10)   # shapes, parameters, MACs; no torch
    module = archsearch.build(model, (1, 28, 28), 10)                    # torch.nn.Sequential of named blocks
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archsearch.api import build, make_report, parse_model, plan, run_search, run_sweep, train
    from archsearch.config.schema import STRICT
    from archsearch.errors import (
        ArchsearchError,
        ConfigError,
        DataError,
        NonFiniteLossError,
        OutOfMemoryError,
        PluginError,
        Problem,
        ReportError,
        ResumeError,
        RunError,
        StorageError,
        SweepError,
        TimeLimitError,
        TrackingError,
        UserError,
    )
    from archsearch.model.blocks.base import Block, register_block
    from archsearch.model.lowering import Lowering
    from archsearch.model.plan import Plan
    from archsearch.model.spec import ModelSpec
    from archsearch.model.table import layer_table
    from archsearch.model.tree import Layer
    from archsearch.results import Report, Run, Search, Sweep, load

__version__ = "0.1.0"
__all__ = [
    "STRICT",
    "ArchsearchError",
    "Block",
    "ConfigError",
    "DataError",
    "Layer",
    "Lowering",
    "ModelSpec",
    "NonFiniteLossError",
    "OutOfMemoryError",
    "Plan",
    "PluginError",
    "Problem",
    "Report",
    "ReportError",
    "ResumeError",
    "Run",
    "RunError",
    "Search",
    "StorageError",
    "Sweep",
    "SweepError",
    "TimeLimitError",
    "TrackingError",
    "UserError",
    "__version__",
    "build",
    "layer_table",
    "load",
    "make_report",
    "parse_model",
    "plan",
    "register_block",
    "run_search",
    "run_sweep",
    "train",
]

_HOMES = {
    "api": ("build", "make_report", "parse_model", "plan", "run_search", "run_sweep", "train"),
    "errors": tuple(name for name in __all__ if name.endswith("Error") or name == "Problem"),
    "config.schema": ("STRICT",),
    "model.blocks.base": ("Block", "register_block"),
    "model.lowering": ("Lowering",),
    "model.plan": ("Plan",),
    "model.spec": ("ModelSpec",),
    "model.tree": ("Layer",),
    "model.table": ("layer_table",),
    "results": ("Report", "Run", "Search", "Sweep", "load"),
}


if not TYPE_CHECKING:  # so that a misspelt name is an error to type checkers

    def __getattr__(name: str) -> object:
        # Imported when first used: `python -m archsearch --help` must not wait for torch.
        for module, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"archsearch.{module}"), name)
        raise AttributeError(f"module 'archsearch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
