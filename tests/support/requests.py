"""Requests as the command line composes them, in this process."""

from dataclasses import replace
from typing import Any

from hydra import compose, initialize_config_dir

from archsearch.compose.composition import request_of
from archsearch.compose.overrides import VERSION_BASE, config_folder
from archsearch.compose.request import Request

# Small enough for a test, large enough to learn something.
QUICK = (
    "data=digits",
    "trainer.epochs=2",
    "trainer.batch_size=64",
    "trainer.threads=1",
    "model=session5_step1",
    "model.width=0.4",
    "trainer.precision=float32",  # auto depends on the machine
)


def ask(*overrides: str) -> Request:
    """What `python -m archsearch` asks for with these overrides."""
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    return replace(request_of(config), overrides=overrides)


def session4(**changes: Any) -> dict[str, Any]:
    """The `model` section of session4, with `changes` to its blocks (None removes one)."""
    model: dict[str, Any] = ask("model=session4").config["model"]
    for name, change in changes.items():
        if change is None:
            del model["blocks"][name]
        else:
            model["blocks"][name] = {**model["blocks"].get(name, {}), **change}
    return model
