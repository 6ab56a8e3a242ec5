"""The layer table, compared with the reference's rows and with golden files."""

import io
import re
from pathlib import Path

import pytest

from archsearch.model.table import layer_table, shown_layer_table
from tests.support.models import lower
from tests.support.requests import ask

GOLDEN = Path(__file__).parent / "golden"

# As torchsummary prints the reference network: type and number, output shape, parameters.
REFERENCE = """
Conv2d-1 [-1, 12, 26, 26] 120 | ReLU-2 [-1, 12, 26, 26] 0 | BatchNorm2d-3 [-1, 12, 26, 26] 24
Dropout2d-4 [-1, 12, 26, 26] 0 | Conv2d-5 [-1, 12, 24, 24] 1,308 | ReLU-6 [-1, 12, 24, 24] 0
BatchNorm2d-7 [-1, 12, 24, 24] 24 | Dropout2d-8 [-1, 12, 24, 24] 0 | Conv2d-9 [-1, 24, 22, 22] 2,616
ReLU-10 [-1, 24, 22, 22] 0 | BatchNorm2d-11 [-1, 24, 22, 22] 48 | Dropout2d-12 [-1, 24, 22, 22] 0
Conv2d-13 [-1, 12, 22, 22] 300 | ReLU-14 [-1, 12, 22, 22] 0 | BatchNorm2d-15 [-1, 12, 22, 22] 24
AvgPool2d-16 [-1, 12, 11, 11] 0 | Conv2d-17 [-1, 16, 9, 9] 1,744 | ReLU-18 [-1, 16, 9, 9] 0
BatchNorm2d-19 [-1, 16, 9, 9] 32 | Dropout2d-20 [-1, 16, 9, 9] 0 | Conv2d-21 [-1, 32, 7, 7] 4,640
ReLU-22 [-1, 32, 7, 7] 0 | BatchNorm2d-23 [-1, 32, 7, 7] 64 | Dropout2d-24 [-1, 32, 7, 7] 0
Conv2d-25 [-1, 16, 7, 7] 528 | ReLU-26 [-1, 16, 7, 7] 0 | BatchNorm2d-27 [-1, 16, 7, 7] 32
AvgPool2d-28 [-1, 16, 3, 3] 0 | Linear-29 [-1, 10] 1,450
"""


def table(preset: str) -> str:
    return layer_table(lower(ask(f"model={preset}").config["model"]))


def test_session4_has_the_rows_of_the_reference() -> None:
    expected = [row.strip() for line in REFERENCE.strip().splitlines() for row in line.split("|")]
    rows = re.findall(r"^ *(\w+-\d+) +(\[[-\d, ]+\]) +([\d,]+)", table("session4"), re.MULTILINE)
    assert [" ".join(row) for row in rows] == expected


def test_session4_has_the_parameters_of_the_reference() -> None:
    assert "\nTotal params: 12,954\n" in table("session4")


@pytest.mark.parametrize("preset", ["session4", "session4_gap", "session4_conv_head", "session5_step1"])
def test_tables_match_their_golden_files(preset: str) -> None:
    """To update a file after review: python -m archsearch.check model=X | tail -n +2 > tests/model/golden/X.txt"""
    assert table(preset) + "\n" == (GOLDEN / f"{preset}.txt").read_text()


class Terminal(io.StringIO):
    """A terminal, whose width is COLUMNS."""

    def isatty(self) -> bool:
        return True


def shown(preset: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """The table on a terminal of so many columns, without its colours."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown_layer_table(lower(ask(f"model={preset}").config["model"]), Terminal())
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize(
    ("columns", "left_out"), [(100, ()), (80, ("Jump",)), (60, ("Jump", "Block", "Receptive field"))]
)
def test_the_table_fits_a_narrow_terminal(
    columns: int, left_out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown("session4", columns, monkeypatch)
    assert max(map(len, text.splitlines())) <= columns
    headings = "Layer (type)", "Param #", "MACs", "Receptive field", "Jump", "Block"
    assert {name for name in headings if name not in text.splitlines()[0]} == set(left_out)
    assert "Linear-29" in text and "Total params: 12,954" in text


def test_the_table_is_as_in_a_pipe_where_the_terminal_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown("session4", 120, monkeypatch) == table("session4")
    assert shown_layer_table(lower(ask("model=session4").config["model"]), io.StringIO()) == table("session4")
