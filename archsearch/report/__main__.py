"""`python -m archsearch.report`: the leaderboard, comparison and Pareto front of a sweep, or of any runs."""

import os
import sys

from archsearch.cli import exit_status
from archsearch.compose.composition import compose_request
from archsearch.report.options import HELP, parse_options


def main() -> None:
    """Report on what the command line names, the last sweep by default."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(HELP, end="")
        return

    composed = False

    def act() -> None:
        nonlocal composed
        options, rest = parse_options(arguments)
        request = compose_request(rest)
        composed = True
        from archsearch.report.command import report

        try:
            report(options, request)
        except BrokenPipeError:  # `| head` has seen enough; the page is written
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    sys.exit(exit_status(act, arguments, lambda: composed))


if __name__ == "__main__":
    main()
