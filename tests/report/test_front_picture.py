"""The plot of accuracy against cost: its ticks and its labels."""

import re
import xml.etree.ElementTree as ET

import pytest

from archsearch.report.front_picture import cost_ticks, pareto_plot, plain_cost
from archsearch.report.leaderboard import rank
from archsearch.report.pareto import points_of
from archsearch.report.study import studies_of
from tests.support.studies import replicates

SVG = "{http://www.w3.org/2000/svg}"


def front(costs: dict[str, int], gain: float = 0.1) -> str:
    """The plot of variants of which each is better than the cheaper ones."""
    runs = [
        run
        for number, (name, cost) in enumerate(costs.items())
        for run in replicates({name: [98 + gain * number, 98.02 + gain * number]}, params=cost, macs=cost * 100)
    ]
    (study,) = studies_of(runs)
    board = rank(study)
    return pareto_plot(points_of(board, "params"), board, "params")


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("ratio", [2, 8, 30, 10**3, 10**6])
def test_axes_have_plain_numbers_at_any_ratio_of_costs(ratio: int) -> None:
    svg = front({"0": 1_000, "0.1": 1_000 * ratio})
    assert "mathdefault" not in svg and "$" not in svg
    ticks = [text for text in texts(svg) if re.fullmatch(r"[\d.,]+[kMG]?", text)]
    assert len(ticks) >= 4


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (900, 9_000, [1_000, 2_000, 5_000]),
        (1_000, 100_000, [1_000, 3_000, 10_000, 30_000, 100_000]),
        (1, 10**9, [1, 100, 10_000, 10**6, 10**8]),
    ],
)
def test_a_logarithmic_axis_has_at_most_five_round_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert cost_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("cost", "text"),
    [(12_954, "12,954"), (0.5, "0.5"), (99.96, "100"), (250_000, "250k"), (2.6e6, "2.6M"), (1e9, "1G"), (0, "0")],
)
def test_costs_are_written_without_exponents(cost: float, text: str) -> None:
    assert plain_cost(cost) == text


def test_labels_of_a_crowded_front_do_not_overlap() -> None:
    names = {f"a-long-name-of-a-variant-{number}": 1_000 + number for number in range(10)}
    svg = front(names, gain=0.01)
    shown = [text for text in texts(svg) if text.endswith(tuple("0123456789")) and "name" in text]
    assert 0 < len(shown) < 20
    boxes = []
    for element in ET.fromstring(svg).iter(f"{SVG}text"):
        if "name" in (element.text or ""):
            x, y = float(element.get("x", "nan")), float(element.get("y", "nan"))
            width = 4.2 * len(element.text or "")
            left = x - width if "anchor: end" in element.get("style", "") else x
            boxes.append((left, y - 7, left + width, y))
    overlapping = [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    assert len(boxes) == len(shown) and overlapping == []


def test_control_characters_in_names_do_not_break_the_plot() -> None:
    svg = front({"a\x07b": 1_000, "\x1b[31mred": 50_000})
    assert "a?b" in svg and "\x1b" not in svg
