"""The report on terminals of several widths, in pipes, and the line that says what is being done."""

import io
from pathlib import Path

import pytest

from archsearch.report.findings import analyze
from archsearch.report.options import Options
from archsearch.report.progress import StatusLine
from archsearch.report.text import text
from tests.support.studies import draws, study


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def output(width: int | None, longest: str = "0.1") -> str:
    scores = {"0": draws(99.4, 3, 1), longest: draws(99.1, 3, 2), "0.2": draws(98.0, 3, 3)}
    return text(analyze(study(scores), Options(), Path()), "params", width)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_report_fits_the_terminal(width: int) -> None:
    assert max(map(len, output(width).splitlines())) <= width


def test_macs_times_and_intervals_are_left_out_first() -> None:
    heading = output(100).splitlines()[2]
    assert "MACs" not in heading and "s per epoch" not in heading
    heading = output(80).splitlines()[2]
    assert "interval" not in heading and "verdict" in heading and "validation" in heading


def test_the_name_of_a_variant_is_neither_cut_nor_folded() -> None:
    name = "-".join(["long"] * 20)
    assert f"dropout={name}" in output(80, name).splitlines()[4] + output(80, name).splitlines()[3]


def test_a_pipe_gets_plain_and_whole_tables() -> None:
    plain = output(None)
    assert "MACs" in plain and "\x1b" not in plain


def test_the_status_is_one_line_on_a_terminal_that_goes_away() -> None:
    terminal = Terminal()
    with StatusLine(terminal) as status:
        status.show("reading 1,000 runs")
        status.show("x" * 500)
    lines = terminal.getvalue().split("\r\x1b[2K")
    assert lines[1] == "reading 1,000 runs..." and len(lines[2]) < 200 and lines[3] == ""
    assert "\n" not in terminal.getvalue()


def test_without_a_terminal_there_is_no_status() -> None:
    stream = io.StringIO()
    with StatusLine(stream) as status:
        status.show("reading 1,000 runs")
    assert stream.getvalue() == ""
