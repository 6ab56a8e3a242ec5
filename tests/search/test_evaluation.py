"""Searches whose trials a function evaluates: nothing is trained, all else is as in any search."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archsearch
from archsearch.errors import ConfigError, ReportError, ResumeError, SweepError
from archsearch.search.evaluation import evaluate_function, evaluating

pytestmark = pytest.mark.e2e  # whole searches, in this process

WORDS = ("data=mnist", "tracking=none", "space=small_mnist", "search.sampler=random")


def score(plan: archsearch.Plan) -> float:
    """Something that tells plans apart, as a proxy would."""
    return plan.macs / plan.params


def search(*words: str, evaluate: Callable[[archsearch.Plan], Any] = score) -> archsearch.Search:
    return archsearch.run_search(*WORDS, *words, evaluate=evaluate)


def trials_of(search: archsearch.Search) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in search.folder.glob("*/result.json")]


def test_a_function_gives_the_objectives_and_arithmetic_the_sizes(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[archsearch.Plan] = []

    def evaluate(plan: archsearch.Plan) -> dict[str, Any]:
        seen.append(plan)
        return {"val/accuracy": np.float32(plan.macs / plan.params), "val/loss": 1, "params": 1}

    done = search("search.budget.trials=6", "search.objectives=[val/accuracy,params]", evaluate=evaluate)
    assert workspace in done.folder.parents
    results = trials_of(done)
    assert sorted((result["params"], result["macs"]) for result in results) == sorted((p.params, p.macs) for p in seen)
    assert {(result["state"], result["epochs_trained"]) for result in results} == {("FINISHED", 0)}
    assert done.table["val_final"].tolist() == pytest.approx(sorted((p.macs / p.params for p in seen), reverse=True))
    points = {(round(p.macs / p.params, 3), p.params) for p in seen}
    best = {p for p in points if not any(q[0] >= p[0] and q[1] <= p[1] and q != p for q in points)}
    assert set(zip(done.front["val/accuracy"].round(3), done.front["params"], strict=True)) == best
    assert not (done.folder / "finalists").exists() and done.record.state == "FINISHED"
    text = capsys.readouterr().out
    assert "6 trials: 6 evaluated" in text and "optimistic" not in text and "epoch" not in text


def test_an_exception_fails_its_trial_and_so_does_nan(workspace: Path) -> None:
    del workspace
    calls: list[archsearch.Plan] = []

    def evaluate(plan: archsearch.Plan) -> float:
        calls.append(plan)
        if len(calls) == 2:
            raise ZeroDivisionError("no good")
        return float("nan") if len(calls) == 3 else 1.0

    done = search("search.budget.trials=4", evaluate=evaluate)
    reasons = sorted(done.table["reason"].dropna())
    assert reasons == ["ZeroDivisionError: no good", "evaluate returned no finite number: val/accuracy is nan"]
    assert sorted(done.table["state"]) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]
    failed = done.folder / str(done.table.index[done.table["reason"] == reasons[0]][0])
    assert "in evaluate" in (failed / "archsearch.log").read_text()


def test_a_search_of_exceptions_fails(workspace: Path) -> None:
    del workspace

    def evaluate(plan: archsearch.Plan) -> float:
        raise KeyError(plan.params)

    with pytest.raises(SweepError, match=r"all trials \(2\) failed"):
        search("search.budget.trials=2", evaluate=evaluate)


def test_an_interrupted_search_goes_on_with_a_function_only(workspace: Path) -> None:
    del workspace
    calls: list[archsearch.Plan] = []

    def evaluate(plan: archsearch.Plan) -> Any:
        calls.append(plan)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return None if len(calls) == 4 else score(plan)

    with pytest.raises(KeyboardInterrupt):
        search("search.budget.trials=5", evaluate=evaluate)
    with pytest.raises(ConfigError, match=r"evaluate: got None for val/accuracy, from trial 2; must return a number"):
        archsearch.run_search("resume=last", evaluate=evaluate)
    with pytest.raises(ResumeError, match=r"resume it with archsearch\.run_search"):
        archsearch.run_search("resume=last")
    done = archsearch.run_search("resume=last", "search.budget.trials=6", evaluate=evaluate)
    assert len(calls) == 6 + 2 and calls[2] == calls[3] == calls[4]
    assert sorted(done.table.index) == list(range(6)) and set(done.table["state"]) == {"FINISHED"}


def test_it_is_the_last_although_it_has_no_runs(workspace: Path) -> None:
    first, second = (search("search.budget.trials=1", f"hydra.sweep.dir=outputs/sweeps/{name}") for name in "ba")
    older = {"run_id": "older", "started": "2020-01-01T00:00:00+00:00", "epochs": 1, "state": "FINISHED"}
    (workspace / "outputs/runs/older").mkdir(parents=True)
    (workspace / "outputs/runs/older/result.json").write_text(json.dumps(older))
    assert [first.folder.name, second.folder.name] == ["b", "a"]
    assert repr(archsearch.load("last")) == repr(second)
    assert isinstance(archsearch.load("older"), archsearch.Run)


def test_a_search_that_has_lost_its_list_goes_on_with_the_command_that_began_it(workspace: Path) -> None:
    words = ("hydra.sweep.dir=outputs/sweeps/a", "search.budget.trials=3")
    done = search(*words)
    table = done.table
    (done.folder / "sweep.json").unlink()
    command = "repeat the command that began it, with hydra.sweep.dir=outputs/sweeps/a"
    for name in ("a", "outputs/sweeps/a"):
        with pytest.raises(ResumeError, match=rf"a holds a search without its sweep\.json; .*{command}"):
            archsearch.run_search(f"resume={name}", evaluate=score)
    again = search(*words, evaluate=lambda plan: pytest.fail(f"{plan} is evaluated again"))
    assert again.table.equals(table) and len(list(workspace.glob("outputs/sweeps/*"))) == 1


def test_there_is_nothing_to_report_on(workspace: Path) -> None:
    del workspace
    done = search("search.budget.trials=1")
    assert (done.folder / "search.html").is_file()
    with pytest.raises(ReportError, match=r"sweep=last: nothing was trained in .*search\.html"):
        archsearch.make_report()


def test_a_plan_is_built_as_it_is() -> None:
    plan = archsearch.plan({"blocks": {"conv1": {"channels": 4}}, "head": {"type": "gap"}}, (1, 28, 28), 10)
    assert sum(weight.numel() for weight in archsearch.build(plan).parameters()) == plan.params
    with pytest.raises(ConfigError, match="input_shape: got None, must be"):
        archsearch.build({"blocks": {"conv1": {"channels": 4}}, "head": {"type": "gap"}})


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ("high", "got 'high' for val/accuracy; no epoch_seconds, from trial 0"),
        (True, "got True for val/accuracy"),
        ({"val/accuracy": 1.0}, "got no epoch_seconds, from trial 0; must return a number"),
        ({"val/acuracy": 1.0, "epoch_seconds": 2}, r"'val/acuracy', which is no objective \(did you mean val/accuracy"),
    ],
)
def test_what_can_never_be_used_is_an_error(workspace: Path, returned: object, problem: str) -> None:
    del workspace
    with pytest.raises(ConfigError, match=problem):
        search("search.objectives=[val/accuracy,epoch_seconds]", evaluate=lambda _: returned)


def test_what_says_how_to_train_is_refused(workspace: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        search("search.stopping=median", "search.finalists=3", "search.budget.epochs=9")
    paths = [problem.path for problem in refused.value.problems]
    assert paths == ["search.stopping", "search.finalists", "search.budget.epochs"]
    with pytest.raises(ConfigError, match="evaluate: got 3, must be a function"):
        archsearch.run_search(*WORDS, evaluate=3)  # type: ignore[arg-type]
    assert not list(workspace.iterdir())


def test_a_function_is_called_only_in_its_context() -> None:
    with evaluating(score):
        assert evaluate_function() is score
    assert evaluate_function() is None
