"""The number and folder of each run: assigned when a sweep begins, kept when it is resumed. Hydra, no torch."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from archsearch.errors import ConfigError, Problem, ResumeError
from archsearch.sweep.job import subdir_of
from archsearch.sweep.plan import PlannedRun, SweepPlan
from archsearch.sweep.record import Entry, SweepRecord

_BY_TIME = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}"
_NOT_INHERITED = ("hydra.sweep.", "hydra.run.", "hydra.mode=", "hydra.searchpath=")


def new_record(planned: SweepPlan, folder: Path, master: DictConfig) -> SweepRecord:
    """The record of a new sweep. Raises `ConfigError` if two runs would share a folder."""
    record = SweepRecord(list(planned.overrides), sweep_id(folder), list(planned.keys), [], precision=planned.precision)
    record.hydra, record.config_dir = hydra_arguments(master)
    _add(record, planned.runs, master)
    return record


def resumed_record(record: SweepRecord, planned: SweepPlan, folder: Path, master: DictConfig) -> SweepRecord:
    """Update `record` with the runs of `planned`, and number `planned.runs` as in `record`.

    Raises `ResumeError` if no run of `planned` is in the record, or if a run of the record has changed.
    """
    if planned.unchanged:
        _refuse_changed(planned.runs, record)
    else:
        _renumber(planned.runs, record, folder)
        record.keys = list(dict.fromkeys([*record.keys, *planned.keys]))
        numbers = {run.number for run in planned.runs}
        if all(entry.number in numbers for entry in record.entries if entry.same_as is None):
            record.overrides = list(planned.overrides)  # they describe the whole sweep, not only a part of it
    positions = {entry.number: position for position, entry in enumerate(record.entries)}
    for run in planned.runs:
        if run.number in positions:
            position = positions[run.number]
            record.entries[position] = _updated_entry(record.entries[position], run)
    _add(record, [run for run in planned.runs if run.number not in positions], master)
    return record


def _add(record: SweepRecord, runs: Sequence[PlannedRun], master: DictConfig) -> None:
    taken = {entry.folder: entry.number for entry in record.entries}
    for run in runs:
        try:
            folder = subdir_of(master, run.number, run.point.overrides)
        except OmegaConfBaseException as error:
            rule = f"{error}; use values of Hydra such as ${{hydra.job.num}} or ${{hydra.job.override_dirname}}"
            raise ConfigError([Problem("hydra.sweep.subdir", rule)]) from error
        if folder in taken:
            rule = f"gives runs {taken[folder]} and {run.number} the same folder {folder!r}"
            raise ConfigError([Problem("hydra.sweep.subdir", f"{rule}; use ${{hydra.job.num}}")])
        taken[folder] = run.number
        record.entries.append(_new_entry(run, folder))


def _new_entry(run: PlannedRun, folder: str) -> Entry:
    """The entry of a run that has not been trained."""
    return Entry(
        run.number,
        folder,
        run.point.name,
        dict(run.point.values),
        list(run.point.overrides),
        run.fingerprint,
        run.state,
        run.reason,
        params=run.plan.params if run.plan else None,
        macs=run.plan.macs if run.plan else None,
        receptive_field=run.plan.receptive_field if run.plan else None,
        same_as=run.same_as,
    )


def _updated_entry(before: Entry, run: PlannedRun) -> Entry:
    """`before` with its number, folder and name, and the state that the plan gives to `run` now."""
    entry = replace(_new_entry(run, before.folder), name=before.name, overrides=before.overrides)
    entry.values = {**run.point.values, **before.values}
    if before.state == "INVALID":  # it may have been corrected
        entry.name, entry.overrides, entry.values = run.point.name, list(run.point.overrides), dict(run.point.values)
    if run.state == "READY":
        entry.reason, entry.failed = before.reason, before.failed
    return entry


def _refuse_changed(runs: Sequence[PlannedRun], record: SweepRecord) -> None:
    before = {entry.number: entry.fingerprint for entry in record.entries}
    changed = [run for run in runs if run.fingerprint and before[run.number] and run.fingerprint != before[run.number]]
    if changed:
        raise ResumeError(
            f"resume: run {changed[0].number} ({changed[0].point.name}) has changed since the sweep began:"
            " restore the configuration files and the data set, or start a new sweep"
        )


def _renumber(runs: list[PlannedRun], record: SweepRecord, folder: Path) -> None:
    """Give `runs` the numbers that they have in `record`, and the next free numbers to new runs."""
    prints = {entry.fingerprint for entry in record.entries}
    if not any(run.fingerprint in prints for run in runs if run.state == "READY"):
        raise ResumeError(
            f"resume: none of these runs is in the sweep in {folder}; leave out resume to start a new sweep, or"
            " leave out everything else to continue the runs of that sweep"
        )
    by_print_and_values = {(entry.fingerprint, tuple(entry.values.items())): entry.number for entry in record.entries}
    by_print = {entry.fingerprint: entry.number for entry in record.entries if entry.state != "DUPLICATE"}
    invalid_by_values = {
        tuple(entry.values.items()): entry.number for entry in record.entries if entry.fingerprint is None
    }
    numbers: dict[int, int] = {}
    taken: set[int] = set()
    next_number = max((entry.number for entry in record.entries), default=-1) + 1
    for run in runs:
        values = tuple(run.point.values.items())
        candidates = [by_print_and_values.get((run.fingerprint, values)), invalid_by_values.get(values)]
        if run.fingerprint is not None and run.state != "DUPLICATE":
            candidates.insert(1, by_print.get(run.fingerprint))
        number = next((candidate for candidate in candidates if candidate is not None and candidate not in taken), None)
        if number is None:
            number, next_number = next_number, next_number + 1
        numbers[run.number] = number
        taken.add(number)
    for position, run in enumerate(runs):
        same_as = None if run.same_as is None else numbers[run.same_as]
        runs[position] = replace(run, number=numbers[run.number], same_as=same_as)


def sweep_id(folder: Path) -> str:
    """A unique id: the folder's name, with a random suffix unless the name is a time."""
    if re.fullmatch(_BY_TIME, folder.name):
        return folder.name
    # Plain characters, because the id is used in MLflow search filters.
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', folder.name)}-{uuid.uuid4().hex[:6]}"


def hydra_arguments(master: DictConfig) -> tuple[list[str], list[str]]:
    """The overrides of Hydra's own configuration and the --config-dir folders, to be used again on resume."""
    overrides = OmegaConf.to_container(master.hydra.overrides.hydra, resolve=False)
    assert isinstance(overrides, list)
    sources = master.hydra.runtime.config_sources
    folders = [str(Path(source.path).absolute()) for source in sources if source.provider == "command-line"]
    return [str(override) for override in overrides if not str(override).startswith(_NOT_INHERITED)], folders
