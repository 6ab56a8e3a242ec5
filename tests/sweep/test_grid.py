"""From a command line that sweeps to the configuration of each variant: the grid, and composing."""

from typing import Any

import pytest

from archsearch.compose.composition import plain_values
from archsearch.compose.labels import labels
from archsearch.errors import ConfigError
from archsearch.sweep.composer import Composer
from archsearch.sweep.grid import expand
from tests.support.requests import ask
from tests.support.sweeps import composing, planned


def test_all_combinations_the_first_setting_slowest() -> None:
    rows = expand(["model=session4", "model.dropout=0,0.1", "seed=range(1,4)"])
    assert [dict(row.values) for row in rows][:4] == [
        {"model.dropout": "0", "seed": "1"},
        {"model.dropout": "0", "seed": "2"},
        {"model.dropout": "0", "seed": "3"},
        {"model.dropout": "0.1", "seed": "1"},
    ]
    assert len(rows) == 6
    assert rows[5].overrides == ("model=session4", "++model.dropout=0.1", "seed=3")
    assert rows[5].name == "dropout=0.1 seed=3"


def test_the_later_of_two_words_counts() -> None:
    (row,) = expand(["seed=1,2", "trainer.epochs=3", "seed=5"])
    assert row.overrides == ("trainer.epochs=3", "seed=5")
    assert row.values == {}


def test_a_value_given_twice_does_not_vary() -> None:
    assert expand(["seed=1,1", "model.width=1,2"])[0].values == {"model.width": "1"}


def test_settings_that_move_together() -> None:
    words = ["model.blocks.conv1.channels=8,12", "seed=1,2", "model.blocks.conv2.channels=16,24"]
    rows = expand(words, ["model.blocks.conv1.channels", "model.blocks.conv2.channels"])
    assert [tuple(row.values.values()) for row in rows] == [
        ("8", "1", "16"),
        ("8", "2", "16"),
        ("12", "1", "24"),
        ("12", "2", "24"),
    ]
    groups = [["model.blocks.conv1.channels", "model.blocks.conv2.channels"], ["optimizer.lr", "trainer.epochs"]]
    assert len(expand([*words, "trainer.epochs=1,2", "optimizer.lr=0.1,0.2"], groups)) == 8


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
        (["model.dropout=interval(0,1)"], [], "model.dropout: sweeps over an interval; a grid needs single values"),
        (["seed=interval(1,9)"], [], "seed: cannot be searched: the best of several seeds is luck"),
        (["seed=1,2", "model.width=1,2"], ["seed", "model.width"], "luck and model.width cannot be told apart"),
        (["tracking.experiment=a,b"], [], "tracking.experiment: is the same for all runs of a sweep"),
        (["data.root=a,b"], [], "data.root: is the same for all runs"),
        (["seed=1,2)"], [], "command line:"),
    ],
)
def test_what_cannot_be_expanded(words: list[str], linked: list[Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(words, linked)
    assert message in str(caught.value)


def test_short_names_stay_apart() -> None:
    assert labels(["model.dropout", "model.blocks.conv3.channels", "optimizer.lr"]) == [
        "dropout",
        "conv3.channels",
        "lr",
    ]
    assert labels(["model.dropout", "data.dropout"]) == ["model.dropout", "data.dropout"]


# Composing


@pytest.mark.parametrize(
    "words",
    [
        ["model.dropout=0.3", "seed=7"],
        ["model=session5_step1", "optimizer=adamw", "optimizer.lr=0.01", "augment=affine"],
        ["~model.blocks.trans2", "+model.blocks.extra={channels: 8, kernel_size: 1}", "model.head.type=gap"],
        ["experiment=eva6_session4", "trainer.epochs=2", "++model.blocks.conv3={channels: 7, dropout: 0.5}"],
        ["model.blocks.conv1.kernel_size=5", "model.head.hidden=[16,8]", "tracking=none", "data=digits"],
        [
            "model={dropout: 0.2}",
            "model.dropout=0.4",
            "scheduler=multistep",
            "++scheduler.gamma=0.5",
            "scheduler.milestones=[1]",
        ],
    ],
)
def test_a_variant_is_what_hydra_composes(words: list[str]) -> None:
    """The quick composer uses a private function of Hydra's; this holds it against Hydra itself."""
    (row,) = expand(words)
    expected = ask(*row.overrides)
    with composing(*words) as (loader, master):
        found = Composer(loader, master).request(row.overrides, 0)
        slowly = plain_values(loader.load_sweep_config(master, list(row.overrides)))
    assert found.config == expected.config == slowly
    assert found.choices == expected.choices


def test_one_variant_leaves_no_trace_in_the_next() -> None:
    with composing("seed=1,2") as (loader, master):
        composer = Composer(loader, master)
        first = composer.request(["~model.blocks.trans2", "++model.dropout=0.5"], 0)
        second = composer.request(["seed=2"], 1)
    assert "trans2" not in first.config["model"]["blocks"] and "trans2" in second.config["model"]["blocks"]
    assert second.config["model"]["dropout"] == 0.1


def test_the_job_number_can_be_a_seed() -> None:
    plan = planned("seed=${hydra:job.num}", "model.dropout=0,0.1")
    assert [variant.settings.seed for variant in plan.runs if variant.settings] == [0, 1]
