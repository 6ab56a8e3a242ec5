"""Sizes of hold-outs and epochs."""

import pytest

from archsearch.data.catalogue import DATASETS, dataset_info
from archsearch.data.info import holdout_size, steps_per_epoch
from archsearch.errors import ConfigError


def test_auto_is_mnist() -> None:
    assert dataset_info("auto") is DATASETS["mnist"]


@pytest.mark.parametrize(("name", "size"), [("mnist", 10_000), ("digits", 250)])
def test_by_default_a_sixth_of_the_training_images_is_held_out(name: str, size: int) -> None:
    assert holdout_size(DATASETS[name], None) == size


@pytest.mark.parametrize("size", [0, 10, 59_990])
def test_hold_outs_have_the_size_that_is_set(size: int) -> None:
    assert holdout_size(DATASETS["mnist"], size) == size


@pytest.mark.parametrize("size", [1, 9, 59_991, 60_000])
def test_hold_outs_that_leave_too_few_images_are_rejected(size: int) -> None:
    with pytest.raises(ConfigError, match=r"data.validation: got \d+, must be 0, or between 10 and 59,990"):
        holdout_size(DATASETS["mnist"], size)


@pytest.mark.parametrize(
    ("images", "batch_size", "steps"), [(20, 6, 4), (21, 5, 4), (21, 4, 5), (3, 1, 3), (5, 8, 1), (1, 4, 0)]
)
def test_a_last_batch_of_one_image_does_not_count_as_a_step(images: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(images, batch_size) == steps
