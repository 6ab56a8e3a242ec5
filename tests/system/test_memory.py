"""What is said of memory."""

import logging

import pytest

from archsearch.system.memory import fits_in_memory, note_memory, readable_size


@pytest.fixture
def eight_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.system.memory.available_memory", lambda: 8 * 10**9)


@pytest.mark.parametrize(("size", "text"), [(500, "1 MB"), (54_880_000, "55 MB"), (12_345_678_901, "12.3 GB")])
def test_sizes_are_readable(size: int, text: str) -> None:
    assert readable_size(size) == text


@pytest.mark.usefixtures("eight_gigabytes")
def test_what_needs_much_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        note_memory(10**9, "reading little")
        note_memory(2 * 10**9, "reading photographs")
    assert caplog.messages == ["reading photographs needs 2.0 GB of memory; 8.0 GB are available"]


@pytest.mark.usefixtures("eight_gigabytes")
def test_a_quarter_of_the_memory_is_left_to_others() -> None:
    assert fits_in_memory(6 * 10**9) and not fits_in_memory(6 * 10**9 + 1)
