"""docs/model-language.md has the settings of every block and head as they are."""

import re

import pytest
import yaml

from archsearch.config.schema import descriptions_of, names_of
from archsearch.model.heads import HEADS
from archsearch.model.plugins import block_types
from archsearch.model.reference import reference, updated
from tests.support.models import lower
from tests.support.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "model-language.md").read_text()


def test_the_page_is_current() -> None:
    """Otherwise: python -m archsearch.model.reference docs/model-language.md"""
    assert updated(PAGE) == PAGE


@pytest.mark.parametrize("cls", [*block_types().values(), *HEADS.values()], ids=lambda cls: cls.__name__)
def test_every_setting_has_a_description(cls: type) -> None:
    assert set(descriptions_of(cls)) >= set(names_of(cls)) - {"type"}


def test_values_are_words() -> None:
    lines = reference().splitlines()
    assert "| `repeat` | whole number at least 1, at most 1000 | `1` |" in "\n".join(lines)
    assert "| `output_size` | whole number at least 1 or list of 2 | required |" in "\n".join(lines)
    assert not [line for line in lines if re.search(r"Annotated|typing|<class", line)]


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="the page must contain"):
        updated("# Nothing")


def test_the_pages_first_network_of_branches_is_resnet20() -> None:
    example = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    assert lower(yaml.safe_load(example), (3, 32, 32)).params == 272_474
