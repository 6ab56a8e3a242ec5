"""The progress of a sweep: log lines, and one bar on a terminal."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.runs.prepare import prepare
from archsearch.sweep.display import Display
from archsearch.sweep.logs import logged_to
from archsearch.sweep.worker import AttemptEnd, Job
from tests.support.processes import REPOSITORY
from tests.support.requests import QUICK, ask
from tests.support.sweeps import TINY


@pytest.fixture(scope="module")
def job() -> Job:
    return Job(7, prepare(ask(*QUICK, "tracking=none")), Path("sweep/7"))


def lines_of(job: Job, *ends: AttemptEnd, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> list[str]:
    """What is printed when the attempts at `job` end like this; all but the last are followed by another attempt."""
    with logged_to(tmp_path), Display({7: "dropout=0"}, {7: 10.0}) as display:
        for attempt, end in enumerate(ends, 1):
            display.started(job, attempt)
            display.ended(job, end, retried=attempt < len(ends))
    return capsys.readouterr().out.splitlines()


FAILED = AttemptEnd(7, "FAILED", "its process was killed by SIGKILL", retryable=True)


def test_a_finished_run_is_printed_with_its_accuracies(
    job: Job, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    result = {"final": {"val/accuracy": 91.25, "test/accuracy": 90.5}, "seconds": 3.0, "params": 1042}
    (line,) = lines_of(job, AttemptEnd(7, "FINISHED", result=result), capsys=capsys, tmp_path=tmp_path)
    assert line == "7 dropout=0: val 91.25%, test 90.50%, 1,042 parameters, 3 s"


def test_a_failed_run_is_printed_with_its_reason_and_its_log(
    job: Job, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert lines_of(job, FAILED, capsys=capsys, tmp_path=tmp_path) == [
        "7 dropout=0: FAILED: its process was killed by SIGKILL",
        f"  its log: {Path('sweep/7/archsearch.log')}",
    ]


def test_another_attempt_is_printed(job: Job, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = lines_of(job, FAILED, FAILED, capsys=capsys, tmp_path=tmp_path)
    assert lines[0].endswith("SIGKILL; trying again") and lines[2] == "7 dropout=0: attempt 2"


def test_the_log_file_has_tracebacks_and_the_terminal_only_messages(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with logged_to(tmp_path):
        try:
            raise ValueError("details")
        except ValueError:
            logging.getLogger("archsearch.sweep").warning("something failed", exc_info=True)
    assert capsys.readouterr().out == "something failed\n"
    assert "ValueError: details" in (tmp_path / "sweep.log").read_text()


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_on_a_terminal_one_bar_shows_all_runs(workspace: Path) -> None:
    import pty
    import termios

    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 160))
    words = ("trainer.epochs=4", "tracking=none", "seed=1,2,3", "model.dropout=0,2", "sweep.invalid=skip")
    process = subprocess.Popen(
        [sys.executable, "-m", "archsearch", "-m", *TINY, *words],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    output = b""
    try:
        while chunk := os.read(controller, 65536):
            output += chunk
    except OSError:
        pass  # how Linux reports that the other side is closed
    os.close(controller)
    text = output.decode()
    assert process.wait() == 0, text
    bars = re.findall(r"sweep +(\d+)%\|[^\r\n]*", text)
    assert bars and int(bars[-1]) > int(bars[0])
    assert re.search(r"sweep +\d+%\|.*\| [\d:]+, [\d:?]+ left, 1 done, 2 running, best \d\d\.\d\d% seed=", text)
    assert "4 seed=3 dropout=0: val " in text
