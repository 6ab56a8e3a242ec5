"""The numbers, names and folders of runs, before and after a sweep is resumed."""

from pathlib import Path

import pytest

from archsearch.compose.overrides import complete_override
from archsearch.errors import ResumeError
from archsearch.sweep.numbering import new_record, resumed_record
from archsearch.sweep.plan import plan_sweep
from archsearch.sweep.record import SweepRecord
from tests.support.sweeps import composing

GRID = ("model.dropout=0,0.1", "model.width=0.5,1")
WITH_DUPLICATES = ("model.dropout=0,0.1", "model.width=0.5,0.51")


def begin(folder: Path, *words: str) -> SweepRecord:
    with composing(*words, f"hydra.sweep.dir={folder}") as (loader, master):
        record = new_record(plan_sweep(loader, master), folder, master)
    folder.mkdir(exist_ok=True)
    record.write(folder)
    return record


def resume(folder: Path, *words: str) -> SweepRecord:
    """Resume the sweep in `folder` with these overrides; `sweep.json` stays as it is."""
    record = SweepRecord.read(folder)
    with composing(*words, f"hydra.sweep.dir={folder}") as (loader, master):
        return resumed_record(record, plan_sweep(loader, master, before=record), folder, master)


def test_a_sweep_resumed_with_its_own_overrides_stays_the_same(tmp_path: Path) -> None:
    before = begin(tmp_path, *GRID)
    after = resume(tmp_path, *GRID, "sweep.workers=1")
    assert after.entries == before.entries and after.overrides == before.overrides


def test_new_runs_get_the_next_numbers(tmp_path: Path) -> None:
    before = begin(tmp_path, *GRID)
    after = resume(tmp_path, "model.dropout=0", "model.width=0.5,1,2")
    assert after.entries[:4] == before.entries
    assert [(entry.number, entry.values["model.width"]) for entry in after.entries[4:]] == [(4, "2")]


def test_a_run_equal_to_one_of_the_sweep_is_not_new(tmp_path: Path) -> None:
    begin(tmp_path, *GRID)
    after = resume(tmp_path, "model.dropout=0", "model.width=0.51,1")
    assert len(after.entries) == 4


def test_a_sweep_without_a_common_run_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, *GRID)
    with pytest.raises(ResumeError, match="none of these runs is in the sweep"):
        resume(tmp_path, "trainer.epochs=3", "model.dropout=0,0.1")


def test_a_run_that_has_changed_is_refused(tmp_path: Path) -> None:
    record = begin(tmp_path, "seed=1,2")
    record.entries[1].fingerprint = "of an earlier conf/model/mine.yaml"
    record.write(tmp_path)
    with pytest.raises(ResumeError, match=r"run 1 \(seed=2\) has changed since the sweep began"):
        resume(tmp_path, "seed=1,2")


def test_resuming_a_part_keeps_the_overrides_of_the_whole(tmp_path: Path) -> None:
    before = begin(tmp_path, *WITH_DUPLICATES)
    after = resume(tmp_path, "model.dropout=0", "model.width=0.5", "seed=1,2,3")
    assert after.overrides == before.overrides and len(after.entries) == 6


def test_overrides_that_describe_the_whole_sweep_replace_the_old_ones(tmp_path: Path) -> None:
    begin(tmp_path, *WITH_DUPLICATES)
    larger = (*WITH_DUPLICATES, "seed=1,2,3")
    assert resume(tmp_path, *larger).overrides == [complete_override(word) for word in larger]


def test_an_enlarged_sweep_is_resumed_like_one_that_began_so(tmp_path: Path) -> None:
    begin(tmp_path, *WITH_DUPLICATES)
    larger = resume(tmp_path, *WITH_DUPLICATES, "seed=1,2,3")
    larger.write(tmp_path)
    again = resume(tmp_path, *larger.overrides, "sweep.workers=2")
    assert again.overrides == larger.overrides
    assert [entry.number for entry in again.entries] == [entry.number for entry in larger.entries]


def test_a_sweep_of_an_earlier_version_is_extended_with_the_digits_that_it_began_with(tmp_path: Path) -> None:
    earlier = "model.dropout=0.02,0.030000000000000002"  # as range(0.02,0.04,0.01) was expanded
    before = begin(tmp_path, earlier)
    after = resume(tmp_path, "model.dropout=range(0.02,0.05,0.01)")
    assert after.entries[:2] == before.entries
    assert [entry.values["model.dropout"] for entry in after.entries[2:]] == ["0.04"]
