"""What is made of a sweep's results, and which variants have which numbers when it is resumed."""

import json
from pathlib import Path
from typing import Any

import pytest

from archsearch.compose.overrides import complete_override
from archsearch.errors import ResumeError
from archsearch.sweep.numbering import new_record, resumed_record
from archsearch.sweep.plan import plan_sweep
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import markdown, outcomes_by_variant, outcomes_of, table_text
from tests.support.sweeps import composing


def sweep_of(folder: Path, *words: str) -> SweepRecord:
    with composing(*words, f"hydra.sweep.dir={folder}") as (loader, master):
        record = new_record(plan_sweep(loader, master), folder, master)
    folder.mkdir(exist_ok=True)
    record.write(folder)
    return record


def resume_of_sweep(folder: Path, *words: str) -> SweepRecord:
    record = SweepRecord.read(folder)
    with composing(*words, f"hydra.sweep.dir={folder}") as (loader, master):
        return resumed_record(record, plan_sweep(loader, master, before=record), folder, master)


def test_numbers_and_names_stay_when_a_sweep_is_resumed(workspace: Path) -> None:
    words = ("model.dropout=0,0.1", "model.width=0.5,1")
    before = sweep_of(workspace / "a", *words)
    again = resume_of_sweep(workspace / "a", *words, "sweep.workers=1")
    assert [(it.number, it.folder, it.values) for it in again.entries] == [
        (it.number, it.folder, it.values) for it in before.entries
    ]
    part = resume_of_sweep(workspace / "a", "model.dropout=0", "model.width=0.51,1,2")
    assert [(it.number, it.values["model.width"]) for it in part.entries[4:]] == [(4, "2")]
    assert [it.values for it in part.entries[:4]] == [it.values for it in before.entries]
    assert part.overrides == before.overrides
    with pytest.raises(ResumeError, match="none of these runs is in the sweep"):
        resume_of_sweep(workspace / "a", "trainer.epochs=3", "model.dropout=0,0.1")


def test_a_larger_sweep_is_called_by_the_command_that_says_all_of_it(workspace: Path) -> None:
    first = sweep_of(workspace / "a", "model.dropout=0,0.1", "model.width=0.5,0.51", "sweep.workers=1")
    part = resume_of_sweep(workspace / "a", "model.dropout=0", "model.width=0.5", "seed=1,2,3")
    assert part.overrides == first.overrides and len(part.entries) == 6
    part.write(workspace / "a")
    words = ("model.dropout=0,0.1", "model.width=0.5,0.51", "seed=1,2,3")
    whole = resume_of_sweep(workspace / "a", *words)
    assert whole.overrides == [complete_override(word) for word in words]
    whole.write(workspace / "a")
    again = resume_of_sweep(workspace / "a", *whole.overrides, "sweep.workers=2")
    assert again.overrides == whole.overrides
    assert [it.number for it in again.entries] == [it.number for it in whole.entries]


def test_a_variant_that_would_be_another_one_now_is_not_resumed(workspace: Path) -> None:
    record = sweep_of(workspace / "a", "seed=1,2")
    record.entries[1].fingerprint = "of what conf/model/mine.yaml was then"
    record.write(workspace / "a")
    with pytest.raises(ResumeError, match=r"run 1 \(seed=2\) would no longer be what it was"):
        resume_of_sweep(workspace / "a", "seed=1,2")


def test_what_a_folder_says_is_what_the_table_says(workspace: Path) -> None:
    record = sweep_of(workspace / "a", "seed=range(1,7)")
    results: dict[int, dict[str, Any]] = {
        0: {"state": "FINISHED", "reason": None},
        1: {"state": "RUNNING", "reason": None},
        2: {"state": "KILLED", "reason": "interrupted"},
        3: {"state": "FINISHED", "reason": None},
        4: {"state": "FINISHED", "reason": None},
    }
    for number, said in results.items():
        (workspace / "a" / str(number)).mkdir()
        final = {"val/accuracy": 90.0 + number, "test/accuracy": 80.0}
        content = {"seconds": 1.0, "epochs_trained": 2, "run_id": "x", "final": final, "best": final, "tracking": {}}
        (workspace / "a" / str(number) / "result.json").write_text(json.dumps({**content, **said}))
    record.entries[3].failed, record.entries[3].reason = True, "its process was killed by SIGKILL"  # after it was done
    record.entries[4].state, record.entries[4].reason = "OVER_BUDGET", "constraints.max_params: tighter by now"
    record.entries[5].failed, record.entries[5].reason = True, ""
    outcomes = outcomes_of(record, workspace / "a")
    assert [(it.number, it.state) for it in outcomes] == [
        *((4, "FINISHED"), (3, "FINISHED"), (0, "FINISHED")),
        *((2, "KILLED"), (1, "KILLED"), (5, "FAILED")),
    ]
    assert [it.is_left for it in outcomes] == [False, False, False, True, True, True]
    (variant,) = outcomes_by_variant(outcomes)
    mean, sd, n = variant.statistic("val_final") or (0, 0, 0)
    assert n == 3 and mean == pytest.approx((90 + 93 + 94) / 3) and sd == pytest.approx(2.0817, abs=1e-4)
    assert "92.33  2.08" in table_text(outcomes) and "seed 6: FAILED" in table_text(outcomes)
    assert "its process died" in markdown(outcomes)
