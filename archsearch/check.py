"""`python -m archsearch.check`: print a model's layer table, or with `-m` a sweep's plan.

Trains nothing, imports no torch, leaves no file behind.
"""

import sys
from collections.abc import Sequence
from typing import Any

from archsearch.cli import launch, traceless
from archsearch.compose.request import Request


def main() -> None:
    """Judge the configuration on the command line and print its layer table; with `-m`, the table of all variants."""

    def prepare(request: Request) -> Any:
        from archsearch.compose.validate import judge

        return request, judge(request.config)[1]

    def show(prepared: Any) -> None:
        from archsearch.model.table import layer_table

        request, network = prepared
        print(f"{request.name}\n{layer_table(network)}")

    with traceless() as overrides:
        sys.exit(launch(prepare, show, _show_plan, overrides))


def _show_plan(words: Sequence[str]) -> None:
    from archsearch.cli import composed_sweep
    from archsearch.sweep.machine import gpus_here, slots_here
    from archsearch.sweep.plan import broken_together, plan_table
    from archsearch.sweep.planning import plan_sweep

    with composed_sweep(words) as (loader, master):
        planned = plan_sweep(loader, master)
    print(plan_table(planned.variants, len(slots_here(planned.sweep, gpus_here()))))
    error = broken_together(planned.variants)
    if error is not None and planned.sweep.invalid == "stop":
        raise error


if __name__ == "__main__":
    main()
