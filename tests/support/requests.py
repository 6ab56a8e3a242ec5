"""Requests as the command line composes them, in this process."""

from functools import cache
from typing import Any

from archsearch.compose.composition import composed_sweep
from archsearch.compose.request import Request
from archsearch.sweep.composer import Composer

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
    """What `python -m archsearch` asks for with these overrides, composed fast, as the runs of a sweep are.

    tests/sweep/test_composer.py compares it with what Hydra composes.
    """
    return composer().request(overrides, 0)


@cache
def composer() -> Composer:
    """One for the whole test run: composing takes Hydra a tenth of a second, each time."""
    with composed_sweep(["-m"]) as (loader, master):
        return Composer(loader, master)


def session4(**changes: Any) -> dict[str, Any]:
    """The `model` section of session4, with `changes` to its blocks (None removes one)."""
    model: dict[str, Any] = ask("model=session4").config["model"]
    for name, change in changes.items():
        if change is None:
            del model["blocks"][name]
        else:
            model["blocks"][name] = {**model["blocks"].get(name, {}), **change}
    return model
