"""All that a search has found, read from its folder and its study, for its tables, figures and page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.search.begun import configuration_of
from archsearch.search.importance import Importances, importances_of
from archsearch.search.proposals import searched_by
from archsearch.search.trials import Moment, Trial, front_of, moments, read_trials
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import RunOutcome

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Rung:
    """What became of the trials that have trained `epochs` epochs; those that failed or were interrupted are left."""

    epochs: int
    reached: int
    stopped: int
    finished: int


@dataclass(frozen=True)
class Summary:
    """A search in `folder`: its trials by number, those on the `front` (the best first), and what it reached when.

    `rungs` and `failures` say why trials ended, `importances` which settings matter. `configuration` is that of all
    trials, flattened, without what varies. `finalists` are the runs of the finalists.
    """

    folder: Path
    record: SweepRecord
    objectives: Sequence[str]
    blocks: bool  # whether whole architectures vary
    configuration: Mapping[str, Any]
    trials: Mapping[int, Trial]
    front: Sequence[Trial]
    moments: Sequence[Moment]
    rungs: Sequence[Rung]
    failures: Mapping[str, int]  # by reason, the most frequent first
    importances: Importances
    finalists: Sequence[RunOutcome] = ()

    def trial(self, number: int) -> Trial:
        """A trial of this process, or one of the front that another process has trained."""
        return self.trials.get(number) or next(trial for trial in self.front if trial.number == number)


def summarise(record: SweepRecord, folder: Path, study: "optuna.Study", elsewhere: Sequence[Trial] = ()) -> Summary:
    """The search in `folder`, without its finalists. `elsewhere` are trials of the front that others have trained."""
    searched = searched_by(study)
    objectives = tuple(searched["objectives"])
    blocks = searched["blocks"] is not None
    trials = read_trials(record, folder)
    return Summary(
        folder,
        record,
        objectives,
        blocks,
        configuration_of(study),
        {trial.number: trial for trial in trials},
        front_of([*trials, *elsewhere], objectives),
        moments(trials, objectives),
        rungs_of_trials(trials),
        _failures(trials),
        importances_of(study, trials, objectives, blocks=blocks),
    )


def rungs_of_trials(trials: Sequence[Trial]) -> list[Rung]:
    """The numbers of epochs after which trials stopped early or were trained, ascending."""
    ends = Counter((trial.outcome.epochs, trial.outcome.state) for trial in trials if trial.outcome.epochs)
    epochs = sorted({epochs for epochs, state in ends if state in ("STOPPED", "FINISHED")})
    return [
        Rung(
            rung,
            sum(number for (reached, _), number in ends.items() if reached >= rung),
            ends[rung, "STOPPED"],
            ends[rung, "FINISHED"],
        )
        for rung in epochs
    ]


def _failures(trials: Sequence[Trial]) -> dict[str, int]:
    """How many trials failed or did not end, by reason."""
    unfinished = [trial.outcome for trial in trials if trial.outcome.is_unfinished]
    reasons = Counter((outcome.reason or outcome.state.lower()).splitlines()[0] for outcome in unfinished)
    return dict(reasons.most_common())
