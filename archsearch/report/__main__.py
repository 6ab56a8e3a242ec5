"""`python -m archsearch.report`: the leaderboard, comparison and Pareto front of a sweep, or of any runs."""

import os
import sys

from archsearch.cli import answer, compose_request
from archsearch.report.options import HELP, parse


def main() -> None:
    """Report on what the command line names, the last sweep by default."""
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(HELP, end="")
        return

    composed = False

    def act() -> None:
        nonlocal composed
        asked, rest = parse(words)
        request = compose_request(rest)
        composed = True
        from archsearch.report.command import report

        try:
            report(asked, request)
        except BrokenPipeError:  # `| head` has seen enough; the page is written
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    sys.exit(answer(act, words, lambda: composed))


if __name__ == "__main__":
    main()
