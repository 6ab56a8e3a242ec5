"""The progress of a sweep: log lines, and one bar on a terminal."""

import logging
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import pytest

from archsearch.runs.prepare import prepare
from archsearch.sweep.display import Display
from archsearch.sweep.logs import logged_to
from archsearch.sweep.worker import AttemptEnd, Job, RunProgress
from tests.support.processes import REPOSITORY
from tests.support.requests import QUICK, ask
from tests.support.sweeps import TINY, Terminal


@pytest.fixture(scope="module")
def job() -> Job:
    return Job(7, prepare(ask(*QUICK, "tracking=none")), Path("sweep/7"))


def lines_of(job: Job, *ends: AttemptEnd, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> list[str]:
    """What is printed when the attempts at `job` end like this; all but the last are followed by another attempt."""
    with logged_to(tmp_path), Display({7: "dropout=0"}, {7: 10.0}, 1) as display:
        for attempt, end in enumerate(ends, 1):
            display.started(job, attempt, 0)
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


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_there_is_a_line_every_30_seconds(
    job: Job, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clock = Clock()
    with logged_to(tmp_path), Display({7: "dropout=0", 8: "dropout=0.1"}, {7: 60.0, 8: 60.0}, 1, clock) as display:
        for second in range(100):
            clock.now = second
            if second == 40:
                display.started(job, 1, 0)
            if second == 50:
                display.progressed(RunProgress(7, 0.5, 3, 6, 91.256))
            display.tick()
    assert capsys.readouterr().out.splitlines() == [
        "0 of 2 runs done, about 2 min left; workers are starting",
        "0 of 2 runs done, about 90 s left; 7 dropout=0 epoch 3/6  91.26%",
        "0 of 2 runs done, about 90 s left; 7 dropout=0 epoch 3/6  91.26%",
    ]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def test_on_a_terminal_there_is_a_line_for_each_worker(job: Job, terminal: Terminal) -> None:
    with redirect_stderr(terminal), Display({7: "dropout=0", 8: "dropout=0.1"}, {7: 60.0, 8: 60.0}, 2) as display:
        display.started(job, 1, 1)
        display.tick()
        assert "  reading the data        7 dropout=0" in terminal.getvalue() and "  starting" in terminal.getvalue()
        display.progressed(RunProgress(7, 0.5, 9, 15, 91.256))
        display.tick()
        assert "  epoch  9/15  91.26%     7 dropout=0" in terminal.getvalue()
        assert re.search(r"sweep +25%\|.*\| 00:0\d, 0[01]:\d\d left, 0 of 2 done", terminal.getvalue())
        display.ended(job, AttemptEnd(7, "FAILED", "x"), retried=False)
        assert "0 of 2 done, 1 failed" in terminal.getvalue() and "  idle" in terminal.getvalue()


def test_a_worker_that_trains_several_runs_as_one_network_has_one_line(job: Job, terminal: Terminal) -> None:
    jobs = [replace(job, number=number) for number in range(3)]
    with (
        redirect_stderr(terminal),
        Display(dict.fromkeys(range(3), "x" * 90), dict.fromkeys(range(3), 9.0), 1) as display,
    ):
        for each_job in jobs:
            display.started(each_job, 1, 0)
        display.tick()
    lines = [line for line in re.split(r"[\r\n\x1b]", terminal.getvalue()) if "as one network" in line]
    assert "0 xxx" in lines[-1] and lines[-1].rstrip().endswith(" and 2 other runs, as one network")
    assert len(lines[-1].rstrip()) < 80


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_on_a_terminal_a_bar_shows_all_runs_and_lines_show_workers(workspace: Path) -> None:
    import pty
    import termios

    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 80))
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
    assert re.search(r"sweep +\d+%\|.*\| [\d:]+, [\d:]+ left, 1 of 3 done, best \d\d\.\d\d%", text)
    assert "? left" not in text
    assert re.search(r"epoch [1-4]/4 +\d\d\.\d\d% +\d seed=\d dropout=0", text)
    assert "4 seed=3 dropout=0: val " in text
    assert "drawing the sweep's figures ..." in text
