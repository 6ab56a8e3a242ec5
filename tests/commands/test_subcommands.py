"""The console script: subcommands, version and help."""

import pytest

from archsearch import __version__
from archsearch.__main__ import run


def test_check_is_a_subcommand(workspace: object, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "model=session4"]) == 0
    assert "Total params: 12,954" in capfd.readouterr().out


def test_report_is_a_subcommand(workspace: object, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--help"]) == 0
    assert "archsearch.report" in capfd.readouterr().out


def test_version_is_archsearchs_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"archsearch {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["check", "--help"]])
def test_help_lists_settings(workspace: object, capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 0
    assert "trainer.epochs=8 " in capfd.readouterr().out


def test_help_of_a_group_shows_only_that(workspace: object, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "optimizer"]) == 0
    output = capfd.readouterr().out
    assert "optimizer.lr" in output and "trainer.epochs" not in output


@pytest.mark.parametrize("command", ["check", "draw", "report", "predict", "export", "register", "ui", "schema"])
def test_help_of_a_command_is_its_usage(workspace: object, capfd: pytest.CaptureFixture[str], command: str) -> None:
    assert run(["help", command]) == 0
    usage = capfd.readouterr().out
    assert usage.startswith((f"archsearch {command}: ", f"archsearch.{command}: "))
    assert run([command, "--help"]) == 0
    assert capfd.readouterr().out == usage


@pytest.mark.e2e
def test_the_version_is_archsearchs_wherever_it_is_asked_for(
    workspace: object, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "--version"]) == 0
    assert capfd.readouterr().out == f"archsearch {__version__}\n"
    assert run(["--hydra-help"]) == 0
    assert "--version : Show archsearch's version and exit" in capfd.readouterr().out


def test_help_of_an_unknown_group_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["help", "optimizr"]) == 2
    assert "did you mean optimizer?" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "trian: unknown command (did you mean train?)"),
        (["chekc", "model=session4"], "chekc: unknown command (did you mean check?)"),
        (["reprot"], "reprot: unknown command (did you mean report?)"),
        (["sweep", "model.dropout=0,0.1"], "sweep: unknown command; a sweep is `archsearch -m ...`"),
        (["run"], "run: unknown command; a run is `archsearch ...`"),
        (
            ["test"],
            "test: unknown command; the commands are train, check, draw, report, predict, export, register, ui, ",
        ),
        (["version"], "version: unknown command; use --version"),
        (["session4"], "session4: unknown command (did you mean model=session4?)"),
        (["check", "report"], "report: a command comes first, as in `archsearch report`"),
        (["model.dropout"], "model.dropout: must have the form setting=value"),
        (["epochs"], "epochs: must have the form setting=value, as in trainer.epochs=..."),
    ],
)
def test_a_wrong_first_word_is_no_setting(
    workspace: object, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(arguments) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"archsearch: {message}") and len(error.splitlines()) == 1
