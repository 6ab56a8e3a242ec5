"""How much the settings of a search matter, as Optuna estimates it from the trials."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING

from archsearch.runs.formatting import count
from archsearch.search.objectives import losses_of
from archsearch.search.trials import Trial, measured_objective

if TYPE_CHECKING:
    import optuna

_FEWEST = 20  # trials; of fewer, an estimate is a guess


@dataclass(frozen=True)
class Importances:
    """`shares` of settings, which add up to 1, the largest first; empty if `explanation` says why there are none.

    Otherwise it says of what they are the importance.
    """

    explanation: str
    shares: Mapping[str, float] = field(default_factory=dict)


def importances_of(
    study: "optuna.Study", trials: Sequence[Trial], objectives: Sequence[str], *, blocks: bool
) -> Importances:
    """The importance of settings for the measured objective, by PED-ANOVA; `blocks` if whole architectures vary."""
    from optuna.importance import get_param_importances

    unsaid = (
        "Of blocks it cannot be said: architectures have no settings that all of them have, so there is nothing whose"
        " values could be compared over all trials."
    )
    names = {name for trial in study.get_trials(deepcopy=False) for name in trial.params}
    if not names:
        return Importances(f"{unsaid} The names of the trials say what each one changed." if blocks else "")
    name = measured_objective(objectives)
    epoch = _first_stop(trials)
    values = {
        trial.number: losses_of([name], [row[name]])[0]  # Optuna asks for what gets low
        for trial in trials
        for row in trial.history
        if row["epoch"] == epoch and name in row
    }
    more = f" {unsaid}" if blocks else ""
    when = f"{name} after epoch {epoch}" if epoch else name
    if len(values) < _FEWEST or len(set(values.values())) < 2:
        few = f"only {count(len(values), 'trial')} can be compared, of {_FEWEST} that it takes"
        reason = few if len(values) < _FEWEST else f"{name} is the same in all trials"
        return Importances(f"How much settings matter cannot be said: {reason}.{more}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which repeat what is known of PED-ANOVA
        shares = get_param_importances(study, target=lambda trial: values.get(trial.number, nan))
    others = " with other blocks" if blocks else ""
    return Importances(
        f"Estimated from {when} of {count(len(values), 'trial')}{others}, by PED-ANOVA: which settings decide whether a"
        " trial is among the best tenth. Settings that a sampler has hardly varied look unimportant."
        f"{more}",
        dict(shares),
    )


def _first_stop(trials: Sequence[Trial]) -> int:
    """The epoch after which trials first stop: the last one that all of them have reached."""
    reached = [trial.outcome.epochs for trial in trials if trial.outcome.epochs and trial.outcome.state == "STOPPED"]
    trained = [trial.outcome.epochs for trial in trials if trial.is_trained]
    return min(reached or trained, default=0)
