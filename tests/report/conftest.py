"""Runs `python -m archsearch.report` in this process."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from archsearch.report.__main__ import main


@pytest.fixture
def report(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., CompletedProcess[str]]:
    """Calls the command with the given arguments, in the current folder (at first the workspace)."""

    def run(*arguments: str) -> CompletedProcess[str]:
        monkeypatch.setattr("sys.argv", ["archsearch.report", *arguments])
        capsys.readouterr()
        status: str | int | None = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        assert isinstance(status, int)
        return CompletedProcess(arguments, status, *capsys.readouterr())

    return run
