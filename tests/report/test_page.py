"""The HTML page of a report; tests/commands/test_browser.py looks at it in a browser."""

import re
from pathlib import Path

import pytest

from archsearch.report.findings import analyze
from archsearch.report.options import Options
from archsearch.report.page import page_text
from archsearch.report.sources import read_study_run
from archsearch.report.study import studies_of
from tests.support.studies import study, study_run, write_run


@pytest.fixture(scope="module")
def page() -> str:
    """A page with names that mean something to HTML, XML and TeX."""
    odd = study({"$\\foo$": [99.1, 99.2], "<b>\x07&": [99.3, 99.25]})
    return page_text("<i>title</i>", None, [analyze(odd, Options(), Path())], "params")


def test_names_are_escaped(page: str) -> None:
    assert "&lt;b&gt;" in page and "<b>" not in page and "<i>" not in page


def test_the_page_has_plots_and_needs_no_network(page: str) -> None:
    assert "<svg" in page
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]+"|http-equiv', "", page)


def test_names_break_after_dots_but_not_in_words_and_numbers() -> None:
    runs = [study_run(1, 99.0, **{"model__blocks.conv1.channels": str(value), "model__dropout": f"0.0{value}"})
            for value in (8, 9) for _ in range(2)]  # fmt: skip
    runs.append(study_run(1, 98.0, **{"model__blocks.conv1.channels": "8", "model__dropout": "0.09"}))
    (found,) = studies_of(runs)
    page = page_text("", None, [analyze(found, Options(), Path())], "params")
    assert re.search(r"<span>conv1\.<wbr>channels=[89]</span> <span>dropout=0\.0[89]</span>", page)


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 0


def test_a_block_that_moved_is_marked_in_both_drawings(tmp_path: Path) -> None:
    runs = [
        read_study_run(write_run(tmp_path / str(number), "model=session4", *overrides))
        for number, overrides in enumerate(([], ["+model.blocks.conv5.before=conv4"]))
    ]
    (found,) = studies_of([run for run in runs if run is not None])
    drawings = re.findall(
        r"<svg[^>]*network.*?</svg>", page_text("", None, [analyze(found, Options(), Path())], "params"), re.DOTALL
    )
    assert [drawing.count(">moved</text>") for drawing in drawings] == [1, 1]
