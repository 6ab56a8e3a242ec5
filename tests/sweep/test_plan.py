"""The plan of a sweep: its runs, their states, and its table."""

from pathlib import Path

import pytest

from archsearch.errors import ConfigError
from archsearch.sweep.plan import SweepPlan, plan_sweep
from archsearch.sweep.plan_table import invalid_runs_error
from archsearch.sweep.record import SweepRecord
from tests.support.command_line import Command
from tests.support.sweeps import composing, planned


def states(plan: SweepPlan) -> list[str]:
    return [run.state for run in plan.runs]


def params(plan: SweepPlan) -> list[int]:
    return [run.plan.params for run in plan.runs if run.plan]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.blocks.conv3.channels=16,24,32", [11_970, 12_954, 13_938]),
        ("model.head.type=linear,gap", [12_954, 11_674]),
        ("model=session4,session5_step1", [12_954, 4_750]),
    ],
)
def test_blocks_heads_and_models_can_vary(override: str, expected: list[int]) -> None:
    assert params(planned(override)) == expected


def test_a_block_can_be_removed_from_all_runs() -> None:
    runs = planned("~model.blocks.trans2", "model.dropout=0,0.1").runs
    blocks = [{layer.block for layer in run.plan.layers} for run in runs if run.plan]
    assert len(blocks) == 2 and all("trans2" not in names and "head" in names for names in blocks)


def test_a_preset_can_sweep() -> None:
    plan = planned("experiment=dropout_width")
    assert plan.keys == ("model.dropout", "model.width") and len(plan.runs) == 9


def test_an_override_fixes_a_setting_that_a_preset_sweeps_over() -> None:
    assert planned("experiment=dropout_width", "model.width=1").keys == ("model.dropout",)


def test_options_can_be_named_by_a_pattern() -> None:
    models = [run.point.values["model"] for run in planned("model=glob(session4*)").runs]
    assert models == ["session4", "session4_conv_head", "session4_end_dropout", "session4_gap"]


def test_runs_over_the_budget_are_not_trained() -> None:
    plan = planned("model.width=0.5,1,2", "constraints.max_params=13000", "constraints.min_receptive_field=20")
    assert states(plan) == ["READY", "READY", "OVER_BUDGET"]
    assert "constraints.max_params: the model has 47,946 parameters, 13,000 are allowed" in str(plan.runs[2].reason)
    assert invalid_runs_error(plan.runs) is None


def test_a_run_that_trains_the_same_network_is_a_duplicate() -> None:
    plan = planned("model.width=0.5,0.51,1")
    assert states(plan) == ["READY", "DUPLICATE", "READY"]
    assert plan.runs[1].reason == "the same as 0"


@pytest.fixture(scope="module")
def invalid() -> SweepPlan:
    """Four runs, of which only the first is valid."""
    return planned("model=session4,sesion4", "model.dropout=0,2")


def test_invalid_runs_are_in_the_plan(invalid: SweepPlan) -> None:
    assert states(invalid) == ["READY", "INVALID", "INVALID", "INVALID"]


def test_a_problem_of_several_runs_is_reported_once_with_their_names(invalid: SweepPlan) -> None:
    message = str(invalid_runs_error(invalid.runs))
    assert message.count("model.dropout: got 2, must be less than 1.0") == 1
    assert "(run 1: model=session4 dropout=2)" in message
    assert "did you mean session4?" in message


def test_the_error_says_how_many_runs_are_invalid_and_how_to_skip_them(invalid: SweepPlan) -> None:
    advice = "3 of 4 runs cannot be trained; correct them, or skip them with sweep.invalid=skip"
    assert advice in str(invalid_runs_error(invalid.runs))


def test_a_problem_of_all_runs_is_reported_without_their_names() -> None:
    error = invalid_runs_error(planned("trainer.epocs=1,2,3").runs)
    assert str(error) == "trainer.epocs: unknown setting (did you mean epochs?)"


def test_a_sweep_of_more_runs_than_allowed_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"got 5 x 3 = 15 runs, must be at most 14; .* allow them with sweep.max_runs=15"
    ):
        planned("seed=range(0,5)", "model.width=1,2,3", "sweep.max_runs=14")


def test_settings_of_the_sweep_are_validated() -> None:
    with pytest.raises(ConfigError) as caught:
        planned("seed=1,2", "sweep.workers=0", "sweep.invalid=ignore", "++sweep.retrys=1")
    for message in ("sweep.workers: got 0, must be at least 1", "must be one of stop, skip", "did you mean retries?"):
        assert message in str(caught.value)


# `python -m archsearch.check -m`


def test_check_prints_the_plan_and_leaves_nothing(command: Command, workspace: Path) -> None:
    done = command("-m", "model.width=0.5,1,9", "constraints.max_params=20000", module="archsearch.check")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["#", "width", "params", "MACs", "receptive", "field", "est.", "time"]
    assert lines[1][:5] == ["0", "0.5", "3,726", "670,040", "26"]
    assert "over budget: constraints.max_params" in done.stdout
    assert "3 runs of 3 variants: 2 to train, 1 over budget; about " in done.stdout
    assert not list(workspace.iterdir())


def test_check_of_a_preset_that_sweeps_needs_no_flag(command: Command) -> None:
    done = command("experiment=dropout_width", "seed=1,2", module="archsearch.check")
    assert done.returncode == 0 and "18 runs of 9 variants: 18 to train" in done.stdout, done.stderr


def test_check_prints_the_plan_before_it_fails(command: Command) -> None:
    done = command("-m", "model.width=-1,1", module="archsearch.check")
    assert done.returncode == 2 and "model.width: got -1" in done.stderr and "invalid:" in done.stdout


def test_check_succeeds_when_invalid_runs_are_skipped(command: Command) -> None:
    assert command("-m", "model.width=-1,1", "sweep.invalid=skip", module="archsearch.check").returncode == 0


def test_auto_is_the_fastest_precision_here_or_that_which_the_sweep_began_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("archsearch.sweep.plan.fastest_precision", lambda: "bfloat16")
    words = ("model.dropout=0,0.1", "trainer.device=cpu")
    assert precisions(planned(*words)) == {"bfloat16"}
    assert precisions(planned(*words, "trainer.precision=float32")) == {"float32"}
    begun = SweepRecord([], "old", ["model.dropout"], [])  # as an older version wrote it, without a precision
    with composing(*words) as (loader, master):
        assert precisions(plan_sweep(loader, master, before=begun)) == {"float32"}


def precisions(plan: SweepPlan) -> set[str]:
    return {run.settings.trainer.precision for run in plan.runs if run.settings}
