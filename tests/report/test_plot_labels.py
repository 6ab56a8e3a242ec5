"""Labels of variants in plots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.report.leaderboard import rank
from archsearch.report.pareto import points_of
from archsearch.report.plot_labels import shortened, variant_labels
from archsearch.report.study import studies_of
from tests.support.studies import study, study_run


def board_of(*settings: dict[str, str]) -> list[str]:
    (mixed,) = studies_of([study_run(1, 99 - number / 100, settings=values) for number, values in enumerate(settings)])
    return list(variant_labels(rank(mixed).rows).texts)


def test_short_labels_are_kept() -> None:
    assert variant_labels(rank(study({"0": [99.2], "0.1": [99.1]})).rows).texts == ["dropout=0", "dropout=0.1"]


def test_long_labels_become_the_values_that_differ() -> None:
    grid = [{"model.dropout": "0.06", "model.width": "2.25", "optimizer.lr": f"{lr}"} for lr in (0.05, 0.1)]
    grid.append({"model.dropout": "0", "model.width": "2", "optimizer.lr": "0.05"})
    assert board_of(*grid, {**grid[0], "model.width": "2"}) == [
        "0.06 · 2.25 · 0.05", "0.06 · 2.25 · 0.1", "0 · 2 · 0.05", "0.06 · 2 · 0.05",
    ]  # fmt: skip


def test_the_settings_of_values_are_named() -> None:
    grid = [{"model.dropout": f"0.0{a}", "model.width": f"2.2{b}", "x": str(c)}
            for a in (1, 2) for b in (1, 2) for c in (11_111_111, 22_222_222)]  # fmt: skip
    (mixed,) = studies_of([study_run(1, 99, settings=values) for values in grid])
    assert variant_labels(rank(mixed).rows).settings == "dropout · width · x"


def test_a_single_long_setting_is_named_too() -> None:
    (mixed,) = studies_of([study_run(1, 99, settings={"model": end + "a" * 25, "x": end}) for end in "bc"])
    labels = variant_labels(rank(mixed).rows)
    assert labels.settings == "model" and set(labels.texts) == {"b" + "a" * 25, "c" + "a" * 25}


def test_long_values_are_shortened_where_they_agree() -> None:
    assert set(board_of(*({"model": "a" * 40 + end, "x": end} for end in "bc"))) == {"...b", "...c"}


def test_labels_that_are_cut_where_they_differ_have_the_row_number_of_the_leaderboard() -> None:
    names = [("x" * a + "y" + "x" * (60 - a)) * 2 for a in range(20, 40)]
    grid = [{"model": name, "x": name} for name in names]
    (mixed,) = studies_of(
        [study_run(1, 99 - n / 100, settings=values, params=5000 - n) for n, values in enumerate(grid)]
    )
    board = rank(mixed)
    rows = board.rows[5:15]
    labels = variant_labels(rows, 12).texts
    assert [label.split()[0] for label in labels] == [f"#{number}" for number in range(6, 16)]
    assert max(map(len, labels)) <= 12
    points = points_of(board, "params")
    assert [point.number for point in points] == list(range(20, 0, -1))


@pytest.mark.parametrize(
    ("values", "short"),
    [
        (["session4_variant_large", "session4_variant_small"], ["...large", "...small"]),
        (["session4", "session4_gap", "session4_end_dropout"], ["session4", "session4_gap", "session4_end_..."]),
        (["x" * 30 + "1" + "y" * 30, "x" * 30 + "2" + "y" * 30], ["...1yyyyyyyyy...", "...2yyyyyyyyy..."]),
        (["0.1", "0.2"], ["0.1", "0.2"]),
        (["plain", *("y" * 30 + end for end in ("_one", "_two"))], ["plain", "...one", "...two"]),
    ],
)
def test_values_are_never_cut_where_they_differ(values: list[str], short: list[str]) -> None:
    assert shortened(values, 16) == short


@given(st.lists(st.text("ab_", min_size=1, max_size=40), unique=True, min_size=1, max_size=30))
def test_shortened_values_are_distinct_and_short(values: list[str]) -> None:
    short = shortened(values, 16)
    assert len(set(short)) == len(values) and max(map(len, short)) <= 17
