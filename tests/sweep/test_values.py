"""The values of one setting that varies."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from archsearch.sweep.values import rounded, values_of


def values(text: str, max_values: int | None = None) -> list[str]:
    return values_of(OverridesParser.create().parse_override(f"x={text}"), max_values)


def test_a_range_has_the_decimals_that_were_meant() -> None:
    assert values("range(0,1,0.01)") == [str(number / 100) for number in range(100)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("range(5)", ["0", "1", "2", "3", "4"]),
        ("range(5,1,-2)", ["5", "3"]),
        ("range(0,0.9,0.3)", ["0.0", "0.3", "0.6"]),
        ("range(1e-4,4e-4,1e-4)", ["0.0001", "0.0002", "0.0003"]),
        ("sort(range(0,0.4,0.1),reverse=true)", ["0.3", "0.2", "0.1", "0.0"]),
        ("1,'a b',null", ["1", "'a b'", "null"]),
    ],
)
def test_values_are_written_as_in_an_override(text: str, expected: list[str]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize("text", ["range(0,1,0)", "range(0,1,0.0)", "range(5,1)", "range(0,inf)", "range(0,nan,2)"])
def test_a_range_without_an_end_or_without_values_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"step of 0|no values|finite"):
        values(text)


@pytest.mark.parametrize("text", ["range(0,1000000)", "range(0,1e300)", "range(0,1,1e-300)"])
def test_values_are_counted_before_they_are_made(text: str) -> None:
    with pytest.raises(ValueError, match=r"more than sweep.max_runs=10000; give fewer values, or allow them"):
        values(text, 10_000)


def test_values_of_an_earlier_version_are_recognised() -> None:
    assert rounded("0.030000000000000002") == "0.03" and rounded("0.8999999999999999") == "0.9"
    assert rounded("0.12345678901234567") == "0.12345678901234567"
    assert rounded("0.03") == "0.03" and rounded("0.123456789") == "0.123456789" and rounded("[1.0]") == "[1.0]"
