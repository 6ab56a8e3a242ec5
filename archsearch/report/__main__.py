"""`python -m archsearch.report`: the leaderboard, comparison and Pareto front of a sweep, or of any runs."""

from collections.abc import Sequence

from archsearch.system.command import run_command, starting


def report(arguments: Sequence[str]) -> int:
    """Report on the runs that the command line `arguments` names, the last sweep by default.

    Returns the exit status.
    """
    with starting():
        from archsearch.cli import exit_status
        from archsearch.compose.composition import compose_request
        from archsearch.report.options import HELP, parse_options
        from archsearch.report.progress import StatusLine

    composed = False

    def act() -> None:
        nonlocal composed
        if {"-h", "--help"} & set(arguments):
            print(HELP, end="")
            return
        options, overrides = parse_options(arguments)
        with StatusLine() as status:
            status.show("loading")
            request = compose_request(overrides)
            composed = True
            from archsearch.report.command import report

            report(options, request, status)

    return exit_status(act, arguments, lambda: composed)


if __name__ == "__main__":
    run_command(report)
