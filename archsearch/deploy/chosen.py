"""The run that a command names, with what it trained: its classifier, and the plan of its network."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.errors import ReportError, ResumeError
from archsearch.runs.folder import CHECKPOINT, find_run, find_sweep
from archsearch.runs.formatting import count, with_model
from archsearch.runs.result import RESULT, read_result
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import outcomes_of

if TYPE_CHECKING:
    from archsearch.data.info import DatasetInfo
    from archsearch.model.classifier import Classifier
    from archsearch.model.plan import Plan
    from archsearch.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class ChosenRun:
    """A run that has trained, in `folder`. Reading its checkpoint raises `ResumeError`."""

    folder: Path
    result: dict[str, Any]
    reason: str  # why it was chosen; empty if it was named

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.result["run_id"])

    @property
    def info(self) -> "DatasetInfo":
        """The data set that it was trained on."""
        from archsearch.training.restored import restored_info

        return restored_info(self.checkpoint, str(self.result["data"]["name"]))

    @cached_property
    def checkpoint(self) -> "Checkpoint":
        """The checkpoint of its last epoch."""
        from archsearch.training.checkpoint import load_checkpoint

        return load_checkpoint(self.folder / CHECKPOINT)

    @cached_property
    def classifier(self) -> "Classifier":
        """The trained network, from raw pixels, in eval mode."""
        from archsearch.training.restored import classifier_of, restored_network

        return classifier_of(restored_network(self.checkpoint, self.info.name), self.info)

    @cached_property
    def plan(self) -> "Plan":
        """The plan of its network."""
        from archsearch.training.restored import restored_plan

        return restored_plan(self.checkpoint, self.info.name)

    @property
    def model(self) -> str:
        """The name of its model; empty if its result does not say."""
        return str(self.result.get("choices", {}).get("model", ""))

    @property
    def name(self) -> str:
        """Its model and its settings; the names of runs of a sweep have only those that vary."""
        return with_model(str(self.result.get("name", "")), self.model)

    def __str__(self) -> str:
        """One line: id, name, seed, accuracies, and why it was chosen."""
        final = self.result["final"] or {}
        names = {"val": "val/accuracy", "test": "test/accuracy"}
        numbers = [f"{short} {final[name]:.2f} %" for short, name in names.items() if name in final]
        seed = [f"seed={self.result['seed']}"] if "seed" in self.result and "seed=" not in self.name else []
        about = ", ".join([f"run {self.id[:8]}", " ".join([self.name, *seed]), *numbers])
        return f"{about} ({self.reason})" if self.reason else about


def choose_run(name: str, sweep: str = "last") -> ChosenRun:
    """The run `name`: a folder, an id or the beginning of one, `last`, or the `best` by validation of `sweep`.

    Raises `ReportError` or `ResumeError` if there is none, or if it has trained nothing.
    """
    folder, reason = _best_of(find_sweep(sweep, setting="run=best, sweep")) if name == "best" else (_named(name), "")
    result = read_result(folder)
    if result is None:
        raise ReportError(f"{folder / RESULT}: cannot be read")
    if not result["epochs_trained"]:
        raise ResumeError(f"{folder}: the run is {result['state']} and has trained no epoch")
    return ChosenRun(folder, result, reason)


def _named(name: str) -> Path:
    return find_run(name, setting="run")


def _best_of(sweep: Path) -> tuple[Path, str]:
    """The folder of the finished run of `sweep` with the best validation accuracy after its last epoch, and why."""
    record = SweepRecord.read(sweep)
    finished = [outcome for outcome in outcomes_of(record, sweep) if outcome.state == "FINISHED"]
    if not finished:
        raise ReportError(f"run=best: no run of {sweep} is finished")
    validated = [outcome for outcome in finished if outcome.val_final is not None]
    if not validated:
        rule = "its runs held out no images (data.validation=0); name a run by its id"
        raise ReportError(f"run=best: {sweep} has no best run by validation: {rule}")
    best = max(validated, key=lambda outcome: (outcome.val_final or 0.0, -outcome.number))
    (folder,) = [entry.folder for entry in record.entries if entry.number == best.number]
    return sweep / folder, f"best by validation of {count(len(validated), 'finished run')} in {sweep}"
