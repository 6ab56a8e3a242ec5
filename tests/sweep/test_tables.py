"""Tables and lines of a sweep: they fit a terminal, and are plain and whole elsewhere."""

import logging
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from archsearch.sweep.logs import logged_to
from archsearch.sweep.plan_table import plan_table
from archsearch.sweep.result_tables import result_table
from archsearch.sweep.results import RunOutcome
from archsearch.system.terminal import TextTable
from tests.support.sweeps import Terminal, planned

REASON = "the training loss became nan in epoch 3, within its first 4,000 images; lower optimizer.lr"
log = logging.getLogger("archsearch.sweep")


def outcome(number: int, state: str, reason: str | None = None, **values: str) -> RunOutcome:
    return RunOutcome(number, values, 12_954, 2_605_712, 99.1, 99.0, 98.9, 82.0, 20, state, reason, "x")


OUTCOMES = [
    outcome(0, "FINISHED", dropout="0", width="1"),
    outcome(1, "FAILED", REASON, dropout="0.1", width="1"),
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns with colours."""
    for name, value in {"COLUMNS": "80", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def log_to(terminal: Terminal, folder: Path, *tables: TextTable) -> str:
    """Log `tables` while `terminal` is the standard output; returns what it shows."""
    with redirect_stdout(terminal), logged_to(folder):
        for table in tables:
            log.info(table)
    return terminal.getvalue()


def test_on_a_terminal_the_table_fits_and_the_file_has_all_of_it(terminal: Terminal, tmp_path: Path) -> None:
    shown = log_to(terminal, tmp_path, result_table(OUTCOMES))
    assert "MACs" not in shown and "val best" in shown and "\x1b[" in shown
    file = (tmp_path / "sweep.log").read_text()
    assert "MACs" in file and f"FAILED: {REASON}" in file and "\x1b" not in file


def test_no_line_of_a_table_is_wider_than_the_terminal(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    many = {f"model.blocks.conv{number}.channels": "16" for number in range(6)}
    wide = result_table([outcome(0, "FAILED", REASON, **many, seed="1")])
    shown = log_to(terminal, tmp_path, result_table(OUTCOMES), wide)
    assert max(map(len, shown.splitlines())) <= 80 and "\x1b" not in shown
    assert shown.count("16") >= 6


def test_states_are_coloured(terminal: Terminal, tmp_path: Path) -> None:
    shown = log_to(terminal, tmp_path, result_table(OUTCOMES))
    assert "\x1b[32mFINISHED" in shown and "\x1b[31mFAILED" in shown


def test_in_a_pipe_the_table_is_plain_and_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logged_to(tmp_path):
        log.info(result_table(OUTCOMES))
    assert capsys.readouterr().out.strip("\n").splitlines() == [
        "#  dropout  width  params       MACs  val best  val final   test  time",
        "0        0      1  12,954  2,605,712     99.10      99.00  98.90  82 s  FINISHED",
        f"1      0.1      1  12,954  2,605,712     99.10      99.00  98.90  82 s  FAILED: {REASON}",
    ]


def test_the_deviation_of_a_column_that_is_left_out_is_left_out_too() -> None:
    outcomes = [
        outcome(seed, "FINISHED", **{"model.blocks.conv1.channels": "16", "seed": str(seed)}) for seed in (1, 2)
    ]
    heading = result_table(outcomes).fitted(78).splitlines()[0]
    assert heading.split() == ["conv1.channels", "params", "n", "val", "final", "sd", "test", "sd", "time"]


def test_the_plan_fits_the_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    plan = planned("model.width=0.5,0.501,1", "model.dropout=0,0.1", "constraints.max_params=10000")
    with redirect_stdout(terminal):
        lines = plan_table(plan.runs, 2).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["#", "width", "dropout", "params", "receptive", "field", "est.", "time"]
    assert "over budget: constraints.max_params:" in " ".join(" ".join(lines).split())


def test_long_messages_break_between_words(terminal: Terminal, tmp_path: Path) -> None:
    message = f"1 dropout=0: FAILED: {REASON}"
    with redirect_stdout(terminal), logged_to(tmp_path):
        log.info(message)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 2 and max(map(len, lines)) <= 80 and " ".join(map(str.strip, lines)) == message
