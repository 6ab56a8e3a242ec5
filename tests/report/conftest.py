"""Runs `python -m archsearch.report` in this process."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from archsearch.report.__main__ import report as report_command


@pytest.fixture
def report(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., CompletedProcess[str]]:
    """Calls the command with the given arguments, in the current folder (at first the workspace)."""

    def run(*arguments: str) -> CompletedProcess[str]:
        capsys.readouterr()
        status = report_command(arguments)
        return CompletedProcess(arguments, status, *capsys.readouterr())

    return run
