"""Log lines that fit the terminal, the line that goes away, and streams that are closed."""

import io
import logging
import os
import subprocess
import sys
from contextlib import suppress

import pytest

from archsearch.system.screen import ScreenHandler, doing, wrapped


class Terminal(io.StringIO):
    """A terminal whose width is COLUMNS."""

    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, text: str, *shorter: str) -> str:
    record = logging.makeLogRecord({"msg": text, "shorter": list(shorter)})
    ScreenHandler(stream).emit(record)
    return stream.getvalue().rstrip("\n")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "20")
    return Terminal()


def test_a_message_that_fits_is_written_as_it_is(narrow: Terminal) -> None:
    assert shown(narrow, "short enough", "short") == "short enough"


def test_the_longest_version_that_fits_is_written(narrow: Terminal) -> None:
    assert shown(narrow, "a" * 21, "b" * 21, "c" * 20, "d") == "c" * 20


def test_a_message_without_a_version_that_fits_is_broken_between_words(narrow: Terminal) -> None:
    assert shown(narrow, "a message of many words") == "a message of many\n  words"


def test_a_pipe_gets_the_whole_message() -> None:
    assert shown(io.StringIO(), "a" * 500, "a") == "a" * 500


def test_wrapped_lines_are_aligned_below_their_label() -> None:
    assert wrapped("model    one two three", 17) == "model    one two\n         three"


def test_a_link_is_never_broken() -> None:
    assert wrapped("MLflow   http://127.0.0.1:5000/long", 20) == "MLflow\nhttp://127.0.0.1:5000/long"


def test_an_activity_is_shown_and_goes_away(narrow: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", narrow)
    with doing("loading torch and more"):
        assert narrow.getvalue() == "\r\x1b[2Kloading torch and m"
    assert narrow.getvalue().endswith("\r\x1b[2K")


def test_an_activity_is_not_shown_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with doing("loading torch"):
        pass
    assert capfd.readouterr() == ("", "")


def test_a_message_is_written_beside_an_activity(narrow: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", narrow)
    with doing("working"):
        shown(narrow, "a line")
        assert narrow.getvalue().endswith("\r\x1b[2Ka line\n\r\x1b[2Kworking ...")


@pytest.mark.parametrize("closed", ["pipe", "stream"])
def test_a_closed_stream_is_ignored(closed: str, capfd: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    stream = open(writing, "w", buffering=1)  # noqa: SIM115 # closed below
    handler = ScreenHandler(stream)
    if closed == "pipe":
        os.close(reading)
    else:
        stream.close()
        os.close(reading)
    handler.emit(logging.makeLogRecord({"msg": "text"}))
    handler.flush()
    assert capfd.readouterr() == ("", "")
    with pytest.raises((BrokenPipeError, ValueError)):
        stream.write("text\n")
    with suppress(BrokenPipeError):
        stream.close()


@pytest.mark.e2e
def test_streams_that_are_closed_are_connected_to_nothing() -> None:
    script = (
        "import os, sys; [os.close(n) for n in (0, 1, 2)]; sys.stdout = sys.stderr = None;"
        "from archsearch.system.screen import open_standard_streams; open_standard_streams();"
        "assert os.path.samefile('/dev/null', f'/proc/self/fd/2'); print('x'); print('x', file=sys.stderr);"
        "os._exit(7 if open(__import__('tempfile').mkstemp()[1]).fileno() > 2 else 1)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 7
