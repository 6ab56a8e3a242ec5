"""`python -m archsearch.check`: print a model's layer table, or with `-m` a sweep's plan.

Trains nothing, imports no torch, leaves no file behind.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from archsearch.system.command import run_command, starting

if TYPE_CHECKING:
    from archsearch.compose.request import Request
    from archsearch.config.settings import Settings
    from archsearch.data.info import DatasetInfo

_OWN = ("input=", "classes=")  # settings of this command


def check(arguments: Sequence[str]) -> int:
    """Validate the configuration of the command line `arguments` and print its layer table; with `-m`, all runs.

    `input=3x32x32` and `classes=100` replace those of the data set. Returns the exit status.
    """
    with starting():
        from archsearch.cli import dispatch, traceless_overrides

    images = _Images([argument for argument in arguments if argument.startswith(_OWN)])
    others = [argument for argument in arguments if not argument.startswith(_OWN)]
    with traceless_overrides() as overrides:
        return dispatch(
            [*others, *overrides], images.validate, _show_layers, images.show_plan, "check", leaves_files=False
        )


@dataclass(frozen=True)
class _Images:
    """What `words` say of the images: `input=CxHxW`, `classes=N`. The data set says the rest."""

    words: Sequence[str]

    def validate(self, request: "Request") -> Any:
        from archsearch.compose.validate import validate

        return request, validate(request.config, self.dataset).require()[1]

    def dataset(self, settings: "Settings") -> "DatasetInfo":
        """The data set of `settings`, with these images. Raises `ConfigError`."""
        from archsearch.compose.validate import named_dataset
        from archsearch.errors import ConfigError, Problem

        dataset = named_dataset(settings)
        for word in self.words:
            name, _, value = word.partition("=")
            are_sizes = re.fullmatch(r"[1-9]\d{0,5}(x[1-9]\d{0,5})*", value) is not None
            sizes = list(map(int, value.split("x"))) if are_sizes else []
            if name == "classes" and len(sizes) == 1:
                dataset = replace(dataset, classes=tuple(map(str, range(sizes[0]))))
            elif name == "input" and len(sizes) == 3:
                dataset = replace(dataset, shape=(sizes[0], sizes[1], sizes[2]))
            else:
                rule = "a whole number" if name == "classes" else "channels x height x width, as in 3x32x32"
                raise ConfigError([Problem(name, f"got {value!r}, must be {rule}")])
        return dataset

    def show_plan(self, arguments: Sequence[str]) -> None:
        from archsearch.compose.composition import composed_sweep
        from archsearch.sweep.machine import gpus_here, slots_here
        from archsearch.sweep.plan import plan_sweep
        from archsearch.sweep.plan_table import invalid_runs_error, plan_table

        with composed_sweep(arguments) as (loader, master):
            plan = plan_sweep(loader, master, self.dataset)
        print(plan_table(plan.runs, len(slots_here(plan.sweep, gpus_here()))))
        error = invalid_runs_error(plan.runs)
        if error is not None and plan.sweep.invalid == "stop":
            raise error


def _show_layers(validated: Any) -> None:
    from archsearch.model.table import shown_layer_table
    from archsearch.system.screen import wrapped
    from archsearch.system.terminal import terminal_width

    request, plan = validated
    width = terminal_width()
    print(request.name if width is None else wrapped(request.name, width))
    print(shown_layer_table(plan))


if __name__ == "__main__":
    run_command(check)
