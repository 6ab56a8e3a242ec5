"""`python -m archsearch.check`: print a model's layer table, or with `-m` a sweep's plan.

Trains nothing, imports no torch, leaves no file behind.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archsearch.system.command import run_command, starting
from archsearch.system.interrupts import ending_at_once

if TYPE_CHECKING:
    from archsearch.compose.images import Images
    from archsearch.compose.request import Request


def check(arguments: Sequence[str]) -> int:
    """Validate the configuration of the command line `arguments` and print its layer table; with `-m`, all runs.

    `input=3x32x32` and `classes=100` replace those of the data set. Returns the exit status.
    """
    with starting():
        from archsearch.cli import dispatch, traceless_overrides
    with ending_at_once():
        from archsearch.compose.images import Images, without_image_words

    others, words = without_image_words(arguments)
    images = Images(words)

    def validate(request: "Request") -> Any:
        return request, images.validate(request, "layers.txt").require()[1]

    def show_plan(arguments: Sequence[str]) -> None:
        _show_plan(arguments, images)

    with traceless_overrides() as overrides:
        return dispatch(
            [*others, *overrides],
            validate,
            _show_layers,
            show_plan,
            "check",
            leaves_files=False,
            find_dataset=images.dataset,
        )


def _show_layers(validated: Any) -> None:
    from archsearch.model.table import shown_layer_table
    from archsearch.system.screen import wrapped
    from archsearch.system.terminal import terminal_width

    request, plan = validated
    width = terminal_width()
    print(request.name if width is None else wrapped(request.name, width))
    print(shown_layer_table(plan))


def _show_plan(arguments: Sequence[str], images: "Images") -> None:
    from archsearch.compose.composition import composed_sweep, is_search
    from archsearch.sweep.machine import gpus_here, slots_here
    from archsearch.sweep.plan import plan_sweep
    from archsearch.sweep.plan_table import invalid_runs_error, plan_table

    with composed_sweep(arguments) as (loader, master):
        if is_search(master):
            from archsearch.search.setup import plan_search

            print(plan_search(loader, master, images.dataset).describe())
            return
        plan = plan_sweep(loader, master, images.dataset)
    print(plan_table(plan.runs, len(slots_here(plan.sweep, gpus_here()))))
    error = invalid_runs_error(plan.runs)
    if error is not None and plan.sweep.invalid == "stop":
        raise error


if __name__ == "__main__":
    run_command(check)
