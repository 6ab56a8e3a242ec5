"""docs/api.md describes the public surface, and its examples are true."""

import inspect
import re

import pytest

import archsearch
from tests.support.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "api.md").read_text()


def test_the_page_names_everything_that_is_public() -> None:
    missing = [name for name in archsearch.__all__ if not re.search(rf"\b{name}\b", PAGE)]
    assert not missing


@pytest.mark.parametrize(
    "function", ["train", "run_sweep", "run_search", "make_report", "load", "plan", "build", "parse_model"]
)
def test_the_page_has_the_functions_parameters(function: str) -> None:
    match = re.search(rf"`{function}\((.*?)\) -> ", PAGE)
    assert match is not None
    documented = [part.split("=")[0].strip() for part in match[1].split(",")]
    parameters = inspect.signature(getattr(archsearch, function)).parameters.values()
    assert documented == [
        f"{'*' * (parameter.kind is parameter.VAR_POSITIONAL)}{parameter.name}" for parameter in parameters
    ]


@pytest.mark.parametrize("cls", [archsearch.Run, archsearch.Sweep, archsearch.Search, archsearch.Report])
def test_the_page_names_the_attributes_of_results(cls: type) -> None:
    section = PAGE.split(f"### `{cls.__name__}`\n", 1)[1].split("\n#", 1)[0]
    public = {name for name in [*vars(cls), *cls.__annotations__] if not name.startswith("_")}
    assert {name for name in public if not re.search(rf"`{name}\b", section)} == set()


def test_the_errors_on_the_page_are_those_that_are_raised() -> None:
    with pytest.raises(archsearch.ConfigError) as caught:
        archsearch.plan({"blocks": {"conv1": {"chanels": 12}}, "head": {"type": "gab"}}, (28, 28), 0)
    assert f"archsearch.errors.ConfigError: {caught.value}\n" in PAGE


def test_the_error_tree_on_the_page_is_real() -> None:
    tree = PAGE.split("## Errors", 1)[1]
    for name in re.findall(r"\w+Error\b", tree):
        assert issubclass(getattr(archsearch, name), archsearch.ArchsearchError)


def test_all_names_are_offered_by_dir() -> None:
    assert set(archsearch.__all__) <= set(dir(archsearch))
