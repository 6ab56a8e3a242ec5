"""Which number and folder each run has: given when a sweep begins, kept whenever it is resumed. Hydra, no torch."""

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
_OF_ONE_TIME = ("hydra.sweep.", "hydra.run.", "hydra.mode=", "hydra.searchpath=")


def new_record(planned: SweepPlan, folder: Path, master: DictConfig) -> SweepRecord:
    """The record of a sweep that begins. Raises `ConfigError` where two runs would share a folder."""
    record = SweepRecord(list(planned.overrides), _id_of(folder), list(planned.keys), [])
    record.hydra, record.config_dir = _told_to_hydra(master)
    _add(record, planned.runs, master)
    return record


def resumed_record(record: SweepRecord, planned: SweepPlan, folder: Path, master: DictConfig) -> SweepRecord:
    """`record`, with what `planned` wants that it does not have; numbers `planned.runs` as it does.

    Raises `ResumeError` where nothing in `planned` is in the record.
    """
    if planned.unchanged:
        _refuse_changed(planned.runs, record)
    else:
        _renumber(planned.runs, record, folder)
        record.keys = list(dict.fromkeys([*record.keys, *planned.keys]))
        wanted = {run.number for run in planned.runs}
        if all(entry.number in wanted for entry in record.entries if entry.same_as is None):
            record.overrides = list(planned.overrides)  # it is all of the sweep; of a part they would say too little
    entries = {entry.number: position for position, entry in enumerate(record.entries)}
    for run in planned.runs:
        if run.number in entries:
            position = entries[run.number]
            record.entries[position] = _updated_entry(record.entries[position], run)
    _add(record, [run for run in planned.runs if run.number not in entries], master)
    return record


def _add(record: SweepRecord, runs: Sequence[PlannedRun], master: DictConfig) -> None:
    taken = {entry.folder: entry.number for entry in record.entries}
    for run in runs:
        try:
            folder = subdir_of(master, run.number, run.point.overrides)
        except OmegaConfBaseException as error:
            rule = f"{error}; it can hold what Hydra knows: ${{hydra.job.num}}, ${{hydra.job.override_dirname}}"
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
    """An entry that stays what it is, but for what is said of it now."""
    entry = replace(_new_entry(run, before.folder), name=before.name, overrides=before.overrides)
    entry.values = {**run.point.values, **before.values}
    if before.state == "INVALID":  # it may have been mended
        entry.name, entry.overrides, entry.values = run.point.name, list(run.point.overrides), dict(run.point.values)
    if run.state == "READY":
        entry.reason, entry.failed = before.reason, before.failed
    return entry


def _refuse_changed(runs: Sequence[PlannedRun], record: SweepRecord) -> None:
    before = {entry.number: entry.fingerprint for entry in record.entries}
    changed = [it for it in runs if it.fingerprint and before[it.number] and it.fingerprint != before[it.number]]
    if changed:
        raise ResumeError(
            f"resume: run {changed[0].number} ({changed[0].point.name}) would no longer be what it was:"
            " the configuration files, or the data set that is found, have changed since the sweep began"
        )


def _renumber(runs: list[PlannedRun], record: SweepRecord, folder: Path) -> None:
    """Give `runs` the numbers that they have in `record`; those that it does not have, the next ones."""
    prints = {entry.fingerprint for entry in record.entries}
    if not any(run.fingerprint in prints for run in runs if run.state == "READY"):
        raise ResumeError(
            f"resume: none of these runs is in the sweep in {folder}; leave out resume for a new sweep, or"
            " everything else for the runs that it has"
        )
    by_both = {(entry.fingerprint, tuple(entry.values.items())): entry.number for entry in record.entries}
    by_print = {entry.fingerprint: entry.number for entry in record.entries if entry.state != "DUPLICATE"}
    broken = {tuple(entry.values.items()): entry.number for entry in record.entries if entry.fingerprint is None}
    numbers: dict[int, int] = {}
    taken: set[int] = set()
    following = max((entry.number for entry in record.entries), default=-1) + 1
    for run in runs:
        values = tuple(run.point.values.items())
        known = [by_both.get((run.fingerprint, values)), broken.get(values)]
        if run.fingerprint is not None and run.state != "DUPLICATE":
            known.insert(1, by_print.get(run.fingerprint))
        number = next((it for it in known if it is not None and it not in taken), None)
        if number is None:
            number, following = following, following + 1
        numbers[run.number] = number
        taken.add(number)
    for position, run in enumerate(runs):
        same_as = None if run.same_as is None else numbers[run.same_as]
        runs[position] = replace(run, number=numbers[run.number], same_as=same_as)


def _id_of(folder: Path) -> str:
    """What tells a sweep from all others: its folder's name; unless that is a time, with something unique behind it."""
    if re.fullmatch(_BY_TIME, folder.name):
        return folder.name
    # Plain, because it becomes part of MLflow's search language.
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', folder.name)}-{uuid.uuid4().hex[:6]}"


def _told_to_hydra(master: DictConfig) -> tuple[list[str], list[str]]:
    """What the command line told Hydra itself, and where to look, for when the sweep is resumed."""
    overrides = OmegaConf.to_container(master.hydra.overrides.hydra, resolve=False)
    assert isinstance(overrides, list)
    sources = master.hydra.runtime.config_sources
    folders = [str(Path(it.path).absolute()) for it in sources if it.provider == "command-line"]
    return [str(override) for override in overrides if not str(override).startswith(_OF_ONE_TIME)], folders
