"""`python -m archsearch.check`: print a model's layer table; train nothing, import no torch, leave no file behind."""

import sys
import tempfile
from typing import TYPE_CHECKING, Any

from archsearch.cli import launch

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

    with tempfile.TemporaryDirectory(prefix="archsearch-check-") as scratch:
        quiet = ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
        sys.exit(launch(prepare, show, [*quiet, "hydra.run.dir=.", f"hydra.sweep.dir={scratch}"]))


if __name__ == "__main__":
    main()
