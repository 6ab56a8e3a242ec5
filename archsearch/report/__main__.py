"""`python -m archsearch.report`: the leaderboard, comparison and Pareto front of a sweep, or of any runs."""

import sys
from collections.abc import Sequence

from archsearch.cli import exit_status
from archsearch.compose.composition import compose_request
from archsearch.report.options import HELP, parse_options
from archsearch.report.progress import StatusLine


def main() -> None:
    """Report on the runs that the command line names, the last sweep by default."""
    sys.exit(report(sys.argv[1:]))


def report(arguments: Sequence[str]) -> int:
    """Do what the command line `arguments` asks for; returns the exit status."""
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return 0

    composed = False

    def act() -> None:
        nonlocal composed
        options, overrides = parse_options(arguments)
        with StatusLine() as status:
            status.show("loading")
            request = compose_request(overrides)
            composed = True
            from archsearch.report.command import report

            report(options, request, status)

    return exit_status(act, arguments, lambda: composed)


if __name__ == "__main__":
    main()
