"""How a variant is named on the command line."""

import pytest

from archsearch.errors import ReportError
from archsearch.report.naming import find_variant
from archsearch.report.study import Study, studies_of
from tests.support.studies import study_run


@pytest.fixture(scope="module")
def grid() -> Study:
    """Two dropouts by two heads; the best is dropout=0.1 with a linear head."""
    settings = [(dropout, head) for dropout in ("0", "0.1") for head in ("gap", "linear")]
    runs = [
        study_run(1, 99 + number / 10, model__dropout=dropout, **{"model__head.type": head})
        for number, (dropout, head) in enumerate(settings)
    ]
    (study,) = studies_of(runs)
    return study


def test_a_variant_is_found_by_its_row(grid: Study) -> None:
    assert find_variant(grid, "#1", "compare") is grid.variants[0]


def test_a_variant_is_found_by_its_label(grid: Study) -> None:
    for variant in grid.variants:
        assert find_variant(grid, variant.label, "compare") is variant


def test_a_variant_is_found_by_the_id_of_a_run(grid: Study) -> None:
    assert find_variant(grid, grid.variants[2].any.run_id, "compare") is grid.variants[2]


@pytest.mark.parametrize("name", ["dropout=0.0 gap", "head.type=gap 0", "model.dropout=0 model.head.type=gap"])
def test_a_variant_is_found_by_values_that_only_it_has(grid: Study, name: str) -> None:
    assert dict(find_variant(grid, name, "compare").values) == {"model.head.type": "gap", "model.dropout": "0"}


@pytest.mark.parametrize("name", ["linear dropout=0.1", "type=linear dropout=0.1", "ear dropout=0.1"])
def test_a_variant_is_found_by_a_part_of_its_label(grid: Study, name: str) -> None:
    assert find_variant(grid, name, "baseline").label == "head.type=linear dropout=0.1"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gap", "compare: got gap, must match one variant, matches 2: "),
        ("ap", "compare: got ap, must match one variant, matches 2: "),
        ("#9", "must be a row of the leaderboard, #1 to #4"),
        ("gip", "compare: got gip, must be one of head.type="),
        ("seed=1", "must not name a seed"),
    ],
)
def test_a_name_that_fits_no_single_variant_is_refused(grid: Study, name: str, reason: str) -> None:
    with pytest.raises(ReportError, match=reason):
        find_variant(grid, name, "compare")
