"""Transforms of the training images, as they are chosen on the command line."""

from pathlib import Path

import pytest

from archsearch.compose.composition import compose_request
from archsearch.compose.words import check_words
from archsearch.errors import ConfigError
from tests.support.sweeps import planned

CROPPED = "# @package _global_\ndefaults:\n  - override /augment: [crop, flip]\naugment: {crop: {padding: 1}}\n"


@pytest.fixture
def cropped(workspace: Path) -> str:
    """An experiment of one's own that crops by one pixel, and flips."""
    folder = workspace / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "cropped.yaml").write_text(CROPPED)
    return "experiment=cropped"


def test_no_augmentation_is_refused_beside_transforms(cropped: str) -> None:
    assert compose_request([cropped]).config["augment"]["crop"]["padding"] == 1
    for arguments in ([cropped, "augment=none"], ["augment=none", "++augment.crop.padding=1"]):
        with pytest.raises(ConfigError) as refused:
            compose_request(arguments)
        expected = "augment: got none, but the configuration has crop; take away with ++augment.crop=null"
        assert [str(problem) for problem in refused.value.problems] == [expected]
    assert compose_request([cropped, "augment=none", "++augment.crop=null"]).config["augment"] == {"crop": None}
    assert compose_request(["augment=none"]).config["augment"] == {}


def test_a_sweep_over_none_is_not_one_over_an_experiments_transforms() -> None:
    none, crop = planned("augment=none,crop", "++augment.crop.padding=1").runs
    assert (none.state, crop.state) == ("INVALID", "READY")


@pytest.mark.parametrize("word", ["+augment=cutout", "++augment=cutout"])
def test_a_transform_is_not_added_to_a_list(word: str) -> None:
    ((problem,), accepted) = check_words(["augment=[crop,flip]", word])
    assert str(problem) == f"augment: got {word}, must be one list of all transforms, as in augment=[crop,flip]"
    assert accepted == ["augment=[crop,flip]"]
