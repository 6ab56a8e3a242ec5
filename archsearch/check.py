"""`python -m archsearch.check`: print a model's layer table; train nothing, import no torch, leave no file behind."""

import sys
from typing import TYPE_CHECKING, Any

from archsearch.cli import launch, traceless

if TYPE_CHECKING:
    from archsearch.request import Request


def main() -> None:
    """Judge the configuration on the command line and print its layer table; with `-m`, of each variant."""

    def prepare(request: "Request") -> Any:
        from archsearch.judge import judge

        return request, judge(request.config)[1]

    def show(prepared: Any) -> None:
        from archsearch.summary import layer_table

        request, network = prepared
        print(f"{request.name}\n{layer_table(network)}")

    with traceless() as overrides:
        sys.exit(launch(prepare, show, overrides))


if __name__ == "__main__":
    main()
