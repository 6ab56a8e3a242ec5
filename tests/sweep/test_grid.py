"""Expanding a command line that sweeps into the overrides of each run."""

from typing import Any

import pytest

from archsearch.errors import ConfigError
from archsearch.sweep.grid import as_begun, count_runs, expand
from tests.support.sweeps import composing

CHANNELS = ("model.blocks.conv1.channels", "model.blocks.conv2.channels")
LINKED = [f"{CHANNELS[0]}=8,12", "seed=1,2", f"{CHANNELS[1]}=16,24"]


def test_a_grid_has_all_combinations_and_the_first_setting_changes_slowest() -> None:
    points = expand(["model=session4", "model.dropout=0,0.1", "seed=range(1,4)"])
    assert [tuple(point.values.values()) for point in points] == [
        (dropout, seed) for dropout in ("0", "0.1") for seed in ("1", "2", "3")
    ]
    assert list(points[0].values) == ["model.dropout", "seed"]


def test_a_point_has_its_overrides_and_a_short_name() -> None:
    point = expand(["model=session4", "model.dropout=0,0.1", "seed=range(1,4)"])[5]
    assert point.overrides == ("model=session4", "++model.dropout=0.1", "seed=3")
    assert point.name == "dropout=0.1 seed=3"


def test_a_later_override_replaces_an_earlier_one() -> None:
    (point,) = expand(["seed=1,2", "trainer.epochs=3", "seed=5"])
    assert point.overrides == ("trainer.epochs=3", "seed=5")
    assert point.values == {}


def test_a_value_given_twice_does_not_vary() -> None:
    assert expand(["seed=1,1", "model.width=1,2"])[0].values == {"model.width": "1"}


def test_linked_settings_vary_together() -> None:
    assert [tuple(point.values.values()) for point in expand(LINKED, CHANNELS)] == [
        ("8", "1", "16"),
        ("8", "2", "16"),
        ("12", "1", "24"),
        ("12", "2", "24"),
    ]


def test_several_groups_of_settings_can_be_linked() -> None:
    groups = [list(CHANNELS), ["optimizer.lr", "trainer.epochs"]]
    assert len(expand([*LINKED, "trainer.epochs=1,2", "optimizer.lr=0.1,0.2"], groups)) == 8


def test_runs_that_differ_only_in_their_seed_are_one_variant() -> None:
    points = expand(["model.dropout=0,0.1,0.2", "seed=1,2,3"])
    assert count_runs([point.values for point in points]) == "9 runs of 3 variants"
    assert count_runs([{}]) == "1 run of 1 variant"


@pytest.mark.parametrize(
    ("words", "linked", "message"),
    [
        (
            ["model.width=1,2"],
            ["model.width", "model.wdth"],
            "model.wdth is not swept over (did you mean model.width?)",
        ),
        (
            ["trainer.epochs=1,2", "model.width=1,2,3"],
            ["trainer.epochs", "model.width"],
            "epochs has 2, model.width has 3",
        ),
        (
            ["trainer.epochs=1,2", "model.width=1,2"],
            [["trainer.epochs", "model.width"], ["model.width"]],
            "named twice",
        ),
        (["model.dropout=interval(0,1)"], [], "model.dropout: got an interval, must be single values in a grid"),
        (["seed=interval(1,9)"], [], "seed: cannot be searched: the best of several seeds is luck"),
        (["seed=1,2", "model.width=1,2"], ["seed", "model.width"], "seed would be confounded with model.width"),
        (["tracking.experiment=a,b"], [], "tracking.experiment: cannot vary within a sweep"),
        (["data.root=a,b"], [], "data.root: cannot vary within a sweep"),
        (["seed=1,2)"], [], "command line:"),
        (["seed=range(0,1,0)"], [], "seed: got range(0,1,0), which has a step of 0, must be another number"),
        (["seed=range(5,1)"], [], "seed: got range(5,1), which has no values; range(1,5) is 1, 2, 3, 4"),
    ],
)
def test_an_invalid_grid_is_refused(words: list[str], linked: list[Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(words, linked)
    assert message in str(caught.value)


def test_a_pattern_that_matches_nothing_is_refused_with_the_options() -> None:
    with composing("seed=1") as (loader, _), pytest.raises(ConfigError, match=r"no option matches.*session4, "):
        expand(["model=glob(nothing*)"], (), loader)


def test_a_range_shows_the_decimals_that_were_meant() -> None:
    point = expand(["model.dropout=range(0,1,0.01)"])[3]
    assert point.name == "dropout=0.03" and point.overrides == ("++model.dropout=0.03",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["seed=range(0,1000000)"],
            "seed: got range(0,1000000), which has 1,000,000 values, more than sweep.max_runs=10",
        ),
        (
            ["seed=range(0,200)", "model.width=range(1,101)"],
            "sweep.max_runs: got 200 x 100 = 20,000 runs, must be at most 10,000; give fewer values, or allow them with"
            " sweep.max_runs=20000",
        ),
    ],
)
def test_more_runs_than_allowed_are_refused_before_they_are_made(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(words, max_runs=10_000)
    assert message in str(caught.value)


def test_settings_that_vary_together_count_once() -> None:
    points = expand(["model.width=range(1,6)", "trainer.epochs=range(1,6)"], ["model.width", "trainer.epochs"], None, 5)
    assert len(points) == 5


def test_a_sweep_that_began_with_other_digits_keeps_its_values() -> None:
    begun = [{"model.dropout": "0.02"}, {"model.dropout": "0.030000000000000002"}]
    points = as_begun(expand(["model.dropout=range(0,0.04,0.01)", "seed=1"]), begun)
    assert [point.values["model.dropout"] for point in points] == ["0.0", "0.01", "0.02", "0.030000000000000002"]
    assert points[3].overrides == ("++model.dropout=0.030000000000000002", "seed=1")
