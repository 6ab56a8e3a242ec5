"""`python -m archsearch.register`: the model of a run in MLflow's registry."""

from collections.abc import Sequence

from archsearch.system.command import run_command, starting

HELP = """archsearch register: the model of a run in MLflow's registry

  archsearch register run=best name=mnist alias=champion

Settings:
  name=NAME      of the registered model; each call adds a version
  alias=ALIAS    points at this version from now on, and at no other one
  run=last       id or folder of a run, last, or best: the best run by
                 validation of a sweep
  sweep=last     the sweep of run=best: its folder or name, or last

The registry is that of the store which has the run. A run without a model
that takes raw pixels gets one. `python -m archsearch.register` does the same.
"""


def register(arguments: Sequence[str]) -> int:
    """Register the model that the command line `arguments` names; returns the exit status."""
    with starting():
        from archsearch.cli import exit_status

    def act() -> None:
        if {"-h", "--help"} & set(arguments):
            print(HELP, end="")
            return
        from archsearch.deploy.words import RegisterOptions, parse

        options, _ = parse(arguments, RegisterOptions)
        with starting():
            from archsearch.deploy.registering import register

        register(options)

    return exit_status(act, arguments, lambda: True)


if __name__ == "__main__":
    run_command(register)
