"""Labels of variants in plots."""

from archsearch.report.leaderboard import rank
from archsearch.report.plot_labels import names_of_values, variant_labels
from archsearch.report.study import studies_of
from tests.support.studies import study, study_run


def board_of(*settings: dict[str, str]) -> list[str]:
    (mixed,) = studies_of([study_run(1, 99 - number / 100, settings=values) for number, values in enumerate(settings)])
    return variant_labels(rank(mixed).rows)


def test_short_labels_are_kept() -> None:
    assert variant_labels(rank(study({"0": [99.2], "0.1": [99.1]})).rows) == ["dropout=0", "dropout=0.1"]


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
    rows = rank(mixed).rows
    assert names_of_values(rows, variant_labels(rows)) == "dropout · width · x"


def test_labels_that_are_cut_where_they_differ_are_numbered() -> None:
    labels = board_of(*({"model": "a" * 40 + end, "x": end} for end in "bc"))
    assert len(set(labels)) == 2 and all(label.startswith("#") and len(label) <= 28 for label in labels)
