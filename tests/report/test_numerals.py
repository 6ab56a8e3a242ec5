"""Numbers as text."""

import json
from math import nan
from pathlib import Path

import pytest

from archsearch.report.data import csv_text, json_text
from archsearch.report.findings import analyze
from archsearch.report.numerals import format_p, p_equation, points, with_margin
from archsearch.report.options import Options
from archsearch.report.statistics import Estimate
from archsearch.report.text import text
from tests.support.studies import study


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.0004, "< 0.001"), (0.0034, "0.003"), (0.03, "0.03"), (0.044, "0.04"), (0.0451, "0.045"), (0.0488, "0.049"),
        (0.04996, "0.04996"), (0.0501, "0.050"), (0.0504, "0.050"), (0.056, "0.06"), (0.6, "0.60"), (nan, "?"),
    ],
)  # fmt: skip
def test_a_p_value_is_not_rounded_across_the_threshold(p: float, shown: str) -> None:
    assert format_p(p) == shown


def test_an_equation_of_p() -> None:
    assert (p_equation(0.0488), p_equation(0.0002)) == ("p = 0.049", "p < 0.001")


@pytest.mark.parametrize(("value", "shown"), [(-0.004, "0.00"), (0.0, "0.00"), (0.05, "+0.05"), (-0.05, "-0.05")])
def test_zero_has_no_sign(value: float, shown: str) -> None:
    assert points(value, "+") == shown


def test_a_margin_is_never_zero() -> None:
    assert with_margin(Estimate(0.1, 0.098, 0.102), "0.10") == "0.10 +- 0.002"
    assert with_margin(Estimate(0.1, nan, nan), "0.10") == "0.10"


def test_a_report_has_no_negative_zero_and_counts_are_integers() -> None:
    findings = analyze(study({"0": [99.2, 99.3, 99.24], "0.1": [99.21, 99.29, 99.24]}), Options(), Path())
    for shown in (text(findings, "params"), csv_text([findings]), json_text("", None, [findings])):
        assert "-0.00" not in shown and "-0.0," not in shown
    (first, _) = json.loads(json_text("", None, [findings]))["studies"][0]["variants"]
    assert isinstance(first["params"], int) and isinstance(first["macs"], int) and "best" in first
    heading, row, *_ = csv_text([findings]).splitlines()
    assert ",best," in heading and ",12954,2605712," in row
