"""`python -m archsearch` and the console script `archsearch`: training, or the subcommand that comes first."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

from archsearch import __version__
from archsearch.errors import ConfigError
from archsearch.system.command import run_command, starting
from archsearch.system.interrupts import ending_at_once


def main() -> NoReturn:
    """Run the command line; `archsearch check ...` does the same as `python -m archsearch.check ...`."""
    run_command(run)


def run(arguments: Sequence[str]) -> int:
    """Run the command line `arguments`; returns the exit status."""
    if "--version" in arguments:
        print(f"archsearch {__version__}")
        return 0
    if "query=bash" in arguments and {"--shell-completion", "-sc"} & set(arguments):
        return _complete()
    if arguments and arguments[0] in _SUBCOMMANDS:
        return _SUBCOMMANDS[arguments[0]](arguments[1:])
    return _run_unless_unknown(arguments)


def _run_unless_unknown(arguments: Sequence[str]) -> int:
    """Train, unless the first word looks like a command."""
    if not arguments or "=" in arguments[0] or arguments[0].startswith(("~", "-")):
        return _train(arguments)
    with starting():
        from archsearch.cli import exit_status, train

    with ending_at_once():
        from archsearch.compose.words import unknown_command

    problem = unknown_command(arguments[0])
    if problem is None:
        return train(arguments)

    def refuse() -> NoReturn:
        raise ConfigError([problem])

    return exit_status(refuse, arguments)


def _train(arguments: Sequence[str]) -> int:
    with starting():
        from archsearch.cli import train

    return train(arguments)


def _complete() -> int:
    """What bash asks for when the tab key is pressed."""
    with ending_at_once():
        from archsearch.compose.completion import Offers, completions
        from archsearch.config.schema import allowed_values, names_of
        from archsearch.deploy.words import ExportOptions, PredictOptions, RegisterOptions
        from archsearch.report.options import FLAGS, OVERRIDES, Options

        line = os.environ.get("COMP_LINE", "")
        several = bool({"-m", "--multirun"} & set(line.split()))
        training = Offers(values={"resume": _sweep_names if several else _run_ids})
        report = Offers(
            (*names_of(Options), *OVERRIDES),
            flags=("--help", *FLAGS),
            values={"run": _run_ids, "sweep": _sweep_names, "cost": lambda: allowed_values(Options, "cost")},
        )

        def of_deploy(options: type) -> dict[str, Callable[[], list[str]]]:
            choices = {name: partial(allowed_values, options, name) for name in names_of(options)}
            return {**choices, "run": lambda: ["best", *_run_ids()], "sweep": _sweep_names}

        offers = {
            "train": training,
            "check": replace(training, more=("input", "classes")),
            "draw": replace(training, more=("input", "classes", "out")),
            "report": report,
            "predict": Offers(names_of(PredictOptions), flags=("--help",), values=of_deploy(PredictOptions)),
            "export": Offers(names_of(ExportOptions), flags=("--help",), values=of_deploy(ExportOptions)),
            "register": Offers(names_of(RegisterOptions), flags=("--help",), values=of_deploy(RegisterOptions)),
            "ui": Offers(("ui.port", "tracking.uri")),
        }
        print("\n".join(completions(line, offers)))
    return 0


def _run_ids() -> list[str]:
    from archsearch.runs.folder import OUTPUTS
    from archsearch.runs.result import RESULT, read_result

    results = [read_result(path.parent) for path in OUTPUTS.glob(f"**/{RESULT}")]
    return ["last", *(str(result["run_id"]) for result in results if result and result["run_id"])]


def _sweep_names() -> list[str]:
    from archsearch.runs.folder import OUTPUTS, SWEEP

    return ["last", *(path.parent.name for path in OUTPUTS.glob(f"**/{SWEEP}"))]


def _check(arguments: Sequence[str]) -> int:
    from archsearch.check import check

    return check(arguments)


def _draw(arguments: Sequence[str]) -> int:
    from archsearch.draw import draw

    return draw(arguments)


def _report(arguments: Sequence[str]) -> int:
    from archsearch.report.__main__ import report

    return report(arguments)


def _predict(arguments: Sequence[str]) -> int:
    from archsearch.predict import predict

    return predict(arguments)


def _export(arguments: Sequence[str]) -> int:
    from archsearch.export import export

    return export(arguments)


def _register(arguments: Sequence[str]) -> int:
    from archsearch.register import register

    return register(arguments)


def _ui(arguments: Sequence[str]) -> int:
    from archsearch.ui import ui

    return ui(arguments)


def _schema(arguments: Sequence[str]) -> int:
    from archsearch.schema import schema

    return schema(arguments)


def _help(arguments: Sequence[str]) -> int:
    """The help of the command, or of the groups of settings, that `arguments` name."""
    if len(arguments) == 1 and arguments[0] in _SUBCOMMANDS and arguments[0] != "help":
        return _SUBCOMMANDS[arguments[0]](["--help"])
    with starting():
        from archsearch.cli import exit_status

    def show() -> None:
        from archsearch.compose.help import group_help, help_text

        print(help_text() if not arguments else "\n\n".join(map(group_help, arguments)))

    return exit_status(show, arguments)


_SUBCOMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": _train,
    "check": _check,
    "draw": _draw,
    "report": _report,
    "predict": _predict,
    "export": _export,
    "register": _register,
    "ui": _ui,
    "schema": _schema,
    "help": _help,
}

if __name__ == "__main__":
    main()
