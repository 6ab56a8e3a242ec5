"""What a sweep is going to train, before anything trains: the machine, verdicts, fingerprints, the estimate."""

from pathlib import Path

import pytest

from archsearch.compose.overrides import complete_arguments
from archsearch.compose.validate import validate
from archsearch.config.settings import SweepSettings
from archsearch.data.info import DATASETS
from archsearch.errors import ConfigError
from archsearch.sweep.estimate import estimate, slowness_here
from archsearch.sweep.fingerprint import fingerprint
from archsearch.sweep.grid import GridPoint
from archsearch.sweep.machine import cores, slots_here, thread_cap
from archsearch.sweep.plan import SweepPlan
from archsearch.sweep.plan_table import invalid_runs_error
from tests.support.processes import Cli
from tests.support.requests import ask
from tests.support.sweeps import planned


def verdicts(plan: SweepPlan) -> list[str]:
    return [variant.state for variant in plan.runs]


def problems(plan: SweepPlan) -> str:
    return str(invalid_runs_error(plan.runs))


# The machine


def test_workers_share_the_cores_or_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert slots_here(SweepSettings(), gpus=0) == [{}] * cores()
    assert slots_here(SweepSettings(workers=5), gpus=0) == [{}] * 5
    each = [slot["CUDA_VISIBLE_DEVICES"] for slot in slots_here(SweepSettings(jobs_per_gpu=2), gpus=2)]
    assert each == ["0", "1", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-abc")
    three = slots_here(SweepSettings(jobs_per_gpu=4, workers=3), gpus=2)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in three] == ["3", "GPU-abc", "3"]
    assert set(thread_cap(1).values()) == {"1"} and "OMP_NUM_THREADS" in thread_cap(1)


# The plan


def test_a_sweep_over_blocks_heads_models_and_without_a_block() -> None:
    assert [v.plan.params for v in planned("model.blocks.conv3.channels=16,24,32").runs if v.plan] == [
        11_970,
        12_954,
        13_938,
    ]
    heads = planned("model.head.type=linear,gap").runs
    assert [v.plan.params for v in heads if v.plan] == [12_954, 11_674]
    models = planned("model=session4,session5_step1").runs
    assert [v.plan.params for v in models if v.plan] == [12_954, 4_750]
    shorter = planned("~model.blocks.trans2", "model.dropout=0,0.1").runs
    assert [v.plan.layers[-1].block for v in shorter if v.plan] == ["head", "head"]
    assert all("trans2" not in v.plan.layers[-4].block for v in shorter if v.plan)


def test_a_preset_can_sweep_without_a_flag() -> None:
    plan = planned("experiment=dropout_width")
    assert plan.keys == ("model.dropout", "model.width") and len(plan.runs) == 9
    assert planned("experiment=dropout_width", "model.width=1").keys == ("model.dropout",)


def test_a_preset_that_sweeps_can_be_swept_further_without_a_flag(cli: Cli) -> None:
    done = cli("experiment=dropout_width", "seed=1,2", module="archsearch.check")
    assert done.returncode == 0 and "18 runs of 9 variants: 18 to train" in done.stdout, done.stderr


def test_options_can_be_named_by_a_pattern() -> None:
    assert [row.values["model"] for row in planned_rows("model=glob(session4*)")] == [
        *("session4", "session4_conv_head", "session4_end_dropout", "session4_gap"),
    ]


def planned_rows(*words: str) -> list[GridPoint]:
    return [variant.point for variant in planned(*words).runs]


def test_budgets_reject_without_stopping() -> None:
    plan = planned("model.width=0.5,1,2", "constraints.max_params=13000", "constraints.min_receptive_field=20")
    assert verdicts(plan) == ["READY", "READY", "OVER_BUDGET"]
    assert "constraints.max_params: the model has 47,946 parameters, 13,000 are allowed" in str(plan.runs[2].reason)
    assert invalid_runs_error(plan.runs) is None
    assert verdicts(planned("model.width=0.5,1", "constraints.max_macs=1000000")) == ["READY", "OVER_BUDGET"]


def test_broken_variants_are_named_together_and_once() -> None:
    plan = planned("model=session4,sesion5", "model.dropout=0,2")
    assert verdicts(plan) == ["READY", "INVALID", "INVALID", "INVALID"]
    said = problems(plan)
    assert said.count("model.dropout: got 2, must be less than 1.0") == 1
    assert "(run 1: model=session4 dropout=2)" in said
    assert "did you mean session4?" in said
    assert "3 of 4 runs cannot be trained; correct them, or skip them with sweep.invalid=skip" in said


def test_what_is_wrong_with_all_is_said_without_naming_them() -> None:
    assert problems(planned("trainer.epocs=1,2,3")) == "trainer.epocs: unknown setting (did you mean epochs?)"


def test_settings_of_the_sweep_are_checked() -> None:
    with pytest.raises(ConfigError) as caught:
        planned("seed=1,2", "sweep.workers=0", "sweep.invalid=ignore", "++sweep.retrys=1")
    for said in ("sweep.workers: got 0, must be at least 1", "must be one of stop, skip", "did you mean retries?"):
        assert said in str(caught.value)


def test_the_same_network_twice_is_trained_once() -> None:
    plan = planned("model.width=0.5,0.51,1")
    assert verdicts(plan) == ["READY", "DUPLICATE", "READY"]
    assert plan.runs[1].reason == "the same as 0"


def print_of(*words: str) -> str:
    verdict = validate(ask(*complete_arguments(words)).config)
    assert verdict.spec is not None and verdict.settings is not None
    return fingerprint(verdict.spec, verdict.settings, verdict.dataset)


def test_a_fingerprint_is_of_what_influences_the_result() -> None:
    same = print_of()
    for word in (
        "model.dropout=0.1",
        "model.width=1",
        "tracking=none",
        "data.root=/elsewhere",
        "constraints.max_params=20000",
        "sweep.workers=3",
        "trainer.eval_batch_size=10",
        "trainer.threads=1",
        "model.blocks.conv3.dropout=0.1",
    ):
        assert print_of(word) == same, word
    different = [
        "model.dropout=0.2",
        "seed=2",
        "data=digits",
        "data.split_seed=1",
        "data.validation=500",
        "optimizer.lr=0.5",
        "optimizer=adam",
        "scheduler=cosine",
        "augment=affine",
        "trainer.epochs=3",
        "trainer.batch_size=64",
        "trainer.precision=bfloat16",
        "model.head.type=gap",
        "model.blocks.conv3.order=[conv,norm,activation,dropout]",
    ]
    prints = [print_of(word) for word in different]
    assert len({same, *prints}) == len(different) + 1


def test_the_estimate_learns_from_the_runs_that_are_there(workspace: Path) -> None:
    verdict = validate(ask("data=digits").config)
    assert verdict.settings is not None and verdict.plan is not None
    guess = estimate(verdict.settings, verdict.plan, DATASETS["digits"])
    assert slowness_here(workspace) == 1.0
    for number in range(3):
        (workspace / str(number)).mkdir()
        speed = 8 * 1250 / guess / 3  # three times as slow as guessed
        text = f'{{"macs": {verdict.plan.macs}, "images_per_second": {speed}}}'
        (workspace / str(number) / "result.json").write_text(text)
    (workspace / "0" / "result.json").write_text("{")
    assert slowness_here(workspace) == pytest.approx(3)


def test_check_prints_the_plan_and_leaves_nothing(cli: Cli, workspace: Path) -> None:
    done = cli("-m", "model.width=0.5,1,9", "constraints.max_params=20000", module="archsearch.check")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["#", "width", "params", "MACs", "receptive", "field", "est.", "time"]
    assert lines[1][:5] == ["0", "0.5", "3,726", "670,040", "26"]
    assert "over budget: constraints.max_params" in done.stdout
    assert "3 runs of 3 variants: 2 to train, 1 over budget; about " in done.stdout
    broken = cli("-m", "model.width=-1,1", module="archsearch.check")
    assert broken.returncode == 2 and "model.width: got -1" in broken.stderr and "invalid:" in broken.stdout
    assert cli("-m", "model.width=-1,1", "sweep.invalid=skip", module="archsearch.check").returncode == 0
    assert not list(workspace.iterdir())
