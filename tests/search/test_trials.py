"""What the folders of trials say: when they ended and where, what was reached, which settings matter."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution

from archsearch.search.front import front_csv, front_table
from archsearch.search.importance import importances_of
from archsearch.search.summary import Rung, rungs_of_trials
from archsearch.search.trials import Moment, Trial, front_of, moments
from archsearch.sweep.results import RunOutcome

BOTH = ("val/accuracy", "params")
CURVES = {  # accuracies by epoch, with the minute at which each epoch ended
    0: [(90.0, 1), (96.0, 8)],
    1: [(80.0, 2)],
    2: [(91.0, 3), (95.0, 4)],
    3: [(92.0, 6), (97.0, 7)],
}


def trial(number: int, curve: list[tuple[float, int]], params: int = 100, state: str | None = None) -> Trial:
    """A trial with these accuracies and times, of two epochs."""
    history = [
        {"epoch": epoch, "val/accuracy": accuracy, "val/loss": 1 - accuracy / 100, "seconds": 2.0, "timestamp": minute}
        for epoch, (accuracy, minute) in enumerate(curve, 1)
    ]
    state = state or ("FINISHED" if len(curve) == 2 else "STOPPED")
    outcome = RunOutcome(
        number, {"model.width": "1"}, params, 10 * params, None, None, None, 4.0, len(curve), state, None, None
    )
    values = {**history[-1], "params": params, "macs": 10 * params, "epoch_seconds": 2.0} if history else {}
    return Trial(outcome, "", Path(str(number)), values, history, is_evaluated=False)


def four(**more: Any) -> list[Trial]:
    return [trial(number, curve, params=100 - 10 * number, **more) for number, curve in CURVES.items()]


def test_moments_are_in_the_order_in_which_trials_ended() -> None:
    reached = moments(four(), ("val/accuracy",))
    assert reached == [
        Moment(3, 4, 8.0, 4, 95.0, None),
        Moment(4, 6, 12.0, 7, 97.0, None),
        Moment(4, 7, 14.0, 8, 97.0, None),
    ]


def test_the_hypervolume_grows_with_the_front_only() -> None:
    # Losses between the best (0) and the worst (1): trial 2 (1, 1/3), trial 3 (0, 0), trial 0 (1/2, 1).
    reached = moments(four(), BOTH)
    assert [moment.hypervolume for moment in reached] == [
        pytest.approx(0.1 * (1.1 - 1 / 3) / 1.21), pytest.approx(1.0), pytest.approx(1.0),
    ]  # fmt: skip


def test_losses_are_best_where_they_are_lowest() -> None:
    assert [moment.best for moment in moments(four(), ("val/loss",))] == pytest.approx([0.05, 0.03, 0.03])


def test_trials_without_times_are_taken_one_after_another() -> None:
    trials = four()
    for old in trials:
        for row in old.history:
            del row["timestamp"]  # type: ignore[attr-defined]
    assert [moment.best for moment in moments(trials, ("val/accuracy",))] == [96.0, 96.0, 97.0]


def test_the_front_shows_every_objective() -> None:
    objectives = ("val/loss", "params", "epoch_seconds")
    trials = [*four(), trial(4, [(50.0, 9), (90.0, 10)], params=10)]
    front = front_of(trials, objectives)
    assert [one.number for one in front] == [3, 4]
    assert [column.heading for column in front_table(front, objectives).columns] == [
        "trial", "width", "val", "params", "MACs", "val loss", "s per epoch",
    ]  # fmt: skip
    lines = front_csv(front, objectives).splitlines()
    assert lines[0] == "trial,model.width,val/accuracy,params,macs,val/loss,epoch_seconds"
    assert lines[1].startswith("3,1,97.0,70,700,0.03") and lines[1].endswith(",2.0")


def test_rungs_count_who_stopped_and_who_went_on() -> None:
    trials = [*four(), trial(4, [(1.0, 9)], state="KILLED"), trial(5, [], state="FAILED")]
    assert rungs_of_trials(trials) == [Rung(1, 5, 1, 0), Rung(2, 3, 0, 3)]


def importance_study(trials: int) -> optuna.Study:
    """A study whose first setting decides everything, and whose values are not asked for."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    distributions: dict[str, BaseDistribution] = {
        name: FloatDistribution(0, 1) for name in ("model.dropout", "optimizer.lr")
    }
    for number in range(trials):
        params = {"model.dropout": number / trials, "optimizer.lr": (7 * number % trials) / trials}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, values=[0.0, 0.0]))
    return study


def test_the_setting_that_decides_is_the_most_important() -> None:
    trials = [trial(number, [(float(number), number), (50.0, number)][: 1 + number % 2]) for number in range(40)]
    importances = importances_of(importance_study(40), trials, BOTH, blocks=False)
    assert next(iter(importances.shares)) == "model.dropout" and sum(importances.shares.values()) == pytest.approx(1)
    assert importances.shares["model.dropout"] > 0.8
    assert "val/accuracy after epoch 1 of 40 trials" in importances.explanation


def test_what_cannot_be_said_is_not_said() -> None:
    few = importances_of(importance_study(5), [trial(n, [(90.0 + n, n)]) for n in range(5)], BOTH, blocks=False)
    assert not few.shares and "only 5 trials can be compared, of 20 that it takes" in few.explanation
    equal = importances_of(importance_study(30), [trial(n, [(90.0, n)]) for n in range(30)], BOTH, blocks=False)
    assert not equal.shares and "is the same in all trials" in equal.explanation
    blocks = importances_of(optuna.create_study(), [trial(0, [(90.0, 1)])], BOTH, blocks=True)
    assert not blocks.shares and blocks.explanation.startswith("Of blocks it cannot be said")
