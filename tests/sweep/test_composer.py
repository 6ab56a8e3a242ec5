"""Composing the configurations of a sweep's runs: quickly, and exactly as Hydra does."""

import pytest

from archsearch.compose.composition import compose_config, plain_values, request_of
from archsearch.sweep.composer import Composer
from archsearch.sweep.grid import expand
from tests.support.sweeps import composing, planned


@pytest.mark.parametrize(
    "words",
    [
        ["model=session5_step1", "optimizer=adamw", "optimizer.lr=0.01", "augment=affine", "seed=7"],
        ["~model.blocks.trans2", "+model.blocks.extra={channels: 8, kernel_size: 1}", "model.head.type=gap"],
        ["experiment=eva6_session4", "trainer.epochs=2", "++model.blocks.conv3={channels: 7, dropout: 0.5}"],
        ["model.blocks.conv1.kernel_size=5", "model.head.hidden=[16,8]", "tracking=none", "data=digits"],
        ["model={dropout: 0.2}", "model.dropout=0.4", "scheduler=multistep", "++scheduler.gamma=0.5"],
    ],
)
def test_a_run_is_configured_as_hydra_composes_it(words: list[str]) -> None:
    """The composer uses a private function of Hydra's; this compares its result with two public ways."""
    (point,) = expand(words)
    expected = request_of(compose_config(point.overrides))
    with composing(*words) as (loader, master):
        request = Composer(loader, master).request(point.overrides, 0)
        from_loader = plain_values(loader.load_sweep_config(master, list(point.overrides)))
    assert request.config == expected.config == from_loader
    assert request.choices == expected.choices


def test_a_run_leaves_no_trace_in_the_next_one() -> None:
    with composing("seed=1,2") as (loader, master):
        composer = Composer(loader, master)
        first = composer.request(["~model.blocks.trans2", "++model.dropout=0.5"], 0)
        second = composer.request(["seed=2"], 1)
    assert "trans2" not in first.config["model"]["blocks"] and "trans2" in second.config["model"]["blocks"]
    assert second.config["model"]["dropout"] == 0.1


def test_the_job_number_can_be_a_seed() -> None:
    plan = planned("seed=${hydra:job.num}", "model.dropout=0,0.1")
    assert [run.settings.seed for run in plan.runs if run.settings] == [0, 1]
