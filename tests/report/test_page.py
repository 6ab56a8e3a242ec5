"""The HTML page of a report; tests/commands/test_browser.py looks at it in a browser."""

import re
from pathlib import Path

import pytest

from archsearch.report.findings import analyze
from archsearch.report.options import Options
from archsearch.report.page import page_text
from tests.support.studies import study


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


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 0
