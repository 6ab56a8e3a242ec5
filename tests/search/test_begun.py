"""A search goes on only with the settings that it began with."""

from pathlib import Path

import pytest

from archsearch.errors import ResumeError
from archsearch.search.begun import check_begun
from archsearch.search.storage import open_study
from tests.support.requests import ask

OBJECTIVES = ("val/accuracy",)


def go_on(folder: Path, *overrides: str) -> None:
    """Begin or continue the search in `folder` with the default configuration and `overrides`."""
    check_begun(open_study(folder / "study.log", OBJECTIVES), ask(*overrides).config)


@pytest.mark.parametrize(
    "override",
    ["search.budget.trials=5", "search.finalists=1", "sweep.workers=1", "tracking=none", "ui.port=1", "data.root=x"],
)
def test_budget_and_places_may_change(tmp_path: Path, override: str) -> None:
    go_on(tmp_path)
    go_on(tmp_path, override)


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("trainer.epochs=3", "trainer.epochs is 3, was 8"),
        ("model.blocks.conv2.channels=13", "model.blocks.conv2.channels is 13, was 12"),
        ("seed=2", "seed is 2, was 1"),
        ("search.reduction=2", "search.reduction is 2, was 3"),
        ("constraints.max_params=9", "constraints.max_params is 9, was null"),
        ("~model.blocks.conv2", "model.blocks.conv2.channels is null, was 12"),
    ],
)
def test_what_matters_may_not(tmp_path: Path, override: str, difference: str) -> None:
    go_on(tmp_path)
    with pytest.raises(ResumeError, match="the search began with other settings") as refused:
        go_on(tmp_path, override)
    assert difference in str(refused.value)


def test_three_differences_are_named(tmp_path: Path) -> None:
    go_on(tmp_path)
    with pytest.raises(ResumeError, match="and 1 more; restore them"):
        go_on(tmp_path, "seed=2", "trainer.epochs=3", "trainer.batch_size=3", "search.reduction=2")


@pytest.mark.parametrize(
    ("before", "overrides"),
    [
        ({"type": "none"}, ()),
        ({"type": "affine", "degrees": 10.0, "translate": 0.1, "scale": 0.1}, ("augment=affine",)),
    ],
)
def test_augmentation_from_before_transforms_could_be_combined_is_the_same(
    before: dict[str, object], overrides: tuple[str, ...], tmp_path: Path
) -> None:
    study = open_study(tmp_path / "study.log", OBJECTIVES)
    check_begun(study, {**ask().config, "augment": before})
    go_on(tmp_path, *overrides)
    with pytest.raises(ResumeError, match="other settings: augment"):
        go_on(tmp_path, "augment=flip")
