"""The estimated time of a run."""

import json
from pathlib import Path

import pytest

from archsearch.sweep.estimate import slowness_here
from tests.support.sweeps import planned


def write_speed(folder: Path, images_per_second: float, macs: int) -> None:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"macs": macs, "images_per_second": images_per_second}))


def test_without_runs_nothing_is_known_of_the_machine(tmp_path: Path) -> None:
    assert slowness_here(tmp_path) == 1.0


def test_the_estimate_follows_the_speed_of_the_runs_that_are_there(workspace: Path) -> None:
    words = ("data=digits", "trainer.epochs=8")  # of 1,250 images
    (run,) = planned(*words, "seed=1").runs
    assert run.seconds is not None and run.plan is not None
    for number in range(3):
        write_speed(workspace / "outputs" / str(number), 8 * 1250 / (3 * run.seconds), run.plan.macs)
    (slower,) = planned(*words, "seed=1").runs
    assert slower.seconds == pytest.approx(3 * run.seconds, rel=0.01)


def test_results_that_cannot_be_read_are_ignored(tmp_path: Path) -> None:
    write_speed(tmp_path / "0", 100.0, 1_000_000)
    slowness = slowness_here(tmp_path)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "result.json").write_text("{")
    assert slowness_here(tmp_path) == slowness != 1.0
