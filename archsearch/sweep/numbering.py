"""Which number and folder each variant has: given when a sweep begins, kept whenever it is resumed. Hydra, no torch."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from archsearch.errors import ConfigError, Problem, ResumeError
from archsearch.sweep.plan import Variant
from archsearch.sweep.planning import Planned
from archsearch.sweep.record import Entry, SweepRecord
from archsearch.sweep.words import subdir_of

_BY_TIME = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d{6}"
_OF_ONE_TIME = ("hydra.sweep.", "hydra.run.", "hydra.mode=", "hydra.searchpath=")


def new_record(planned: Planned, folder: Path, master: DictConfig) -> SweepRecord:
    """The record of a sweep that begins. Raises `ConfigError` where two variants would share a folder."""
    record = SweepRecord(list(planned.words), _id_of(folder), list(planned.keys), [])
    record.hydra, record.config_dir = _told_to_hydra(master)
    _add(record, planned.variants, master)
    return record


def resumed_record(record: SweepRecord, planned: Planned, folder: Path, master: DictConfig) -> SweepRecord:
    """`record`, with what `planned` wants that it does not have; numbers `planned.variants` as it does.

    Raises `ResumeError` where nothing in `planned` is in the record.
    """
    if planned.again:
        _refuse_changed(planned.variants, record)
    else:
        _renumber(planned.variants, record, folder)
        record.keys = list(dict.fromkeys([*record.keys, *planned.keys]))
        wanted = {variant.number for variant in planned.variants}
        if all(entry.number in wanted for entry in record.entries if entry.same_as is None):
            record.overrides = list(planned.words)  # it is all of the sweep; of a part they would say too little
    entries = {entry.number: position for position, entry in enumerate(record.entries)}
    for variant in planned.variants:
        if variant.number in entries:
            position = entries[variant.number]
            record.entries[position] = _judged_again(record.entries[position], variant)
    _add(record, [variant for variant in planned.variants if variant.number not in entries], master)
    return record


def _add(record: SweepRecord, variants: Sequence[Variant], master: DictConfig) -> None:
    taken = {entry.folder: entry.number for entry in record.entries}
    for variant in variants:
        try:
            folder = subdir_of(master, variant.number, variant.row.words)
        except OmegaConfBaseException as error:
            rule = f"{error}; it can hold what Hydra knows: ${{hydra.job.num}}, ${{hydra.job.override_dirname}}"
            raise ConfigError([Problem("hydra.sweep.subdir", rule)]) from error
        if folder in taken:
            rule = f"gives variants {taken[folder]} and {variant.number} the same folder {folder!r}"
            raise ConfigError([Problem("hydra.sweep.subdir", f"{rule}; use ${{hydra.job.num}}")])
        taken[folder] = variant.number
        record.entries.append(Entry.of(variant, folder))


def _judged_again(before: Entry, variant: Variant) -> Entry:
    """An entry that stays what it is, but for what is said of it now."""
    entry = replace(Entry.of(variant, before.folder), name=before.name, overrides=before.overrides)
    entry.values = {**variant.row.values, **before.values}
    if before.verdict == "BROKEN":  # it may have been mended
        entry.name, entry.overrides, entry.values = variant.row.name, list(variant.row.words), dict(variant.row.values)
    if variant.verdict == "READY":
        entry.reason, entry.failed = before.reason, before.failed
    return entry


def _refuse_changed(variants: Sequence[Variant], record: SweepRecord) -> None:
    before = {entry.number: entry.fingerprint for entry in record.entries}
    changed = [it for it in variants if it.fingerprint and before[it.number] and it.fingerprint != before[it.number]]
    if changed:
        raise ResumeError(
            f"resume: variant {changed[0].number} ({changed[0].row.name}) would no longer be what it was:"
            " the configuration files, or the data set that is found, have changed since the sweep began"
        )


def _renumber(variants: list[Variant], record: SweepRecord, folder: Path) -> None:
    """Give `variants` the numbers that they have in `record`; those that it does not have, the next ones."""
    prints = {entry.fingerprint for entry in record.entries}
    if not any(variant.fingerprint in prints for variant in variants if variant.verdict == "READY"):
        raise ResumeError(
            f"resume: none of these variants is in the sweep in {folder}; leave out resume for a new sweep, or"
            " everything else for the variants that it has"
        )
    by_both = {(entry.fingerprint, tuple(entry.values.items())): entry.number for entry in record.entries}
    by_print = {entry.fingerprint: entry.number for entry in record.entries if entry.verdict != "DUPLICATE"}
    broken = {tuple(entry.values.items()): entry.number for entry in record.entries if entry.fingerprint is None}
    numbers: dict[int, int] = {}
    taken: set[int] = set()
    following = max((entry.number for entry in record.entries), default=-1) + 1
    for variant in variants:
        values = tuple(variant.row.values.items())
        known = [by_both.get((variant.fingerprint, values)), broken.get(values)]
        if variant.fingerprint is not None and variant.verdict != "DUPLICATE":
            known.insert(1, by_print.get(variant.fingerprint))
        number = next((it for it in known if it is not None and it not in taken), None)
        if number is None:
            number, following = following, following + 1
        numbers[variant.number] = number
        taken.add(number)
    for position, variant in enumerate(variants):
        same_as = None if variant.same_as is None else numbers[variant.same_as]
        variants[position] = replace(variant, number=numbers[variant.number], same_as=same_as)


def _id_of(folder: Path) -> str:
    """What tells a sweep from all others: its folder's name; unless that is a time, with something unique behind it."""
    if re.fullmatch(_BY_TIME, folder.name):
        return folder.name
    # Plain, because it becomes part of MLflow's search language.
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', folder.name)}-{uuid.uuid4().hex[:6]}"


def _told_to_hydra(master: DictConfig) -> tuple[list[str], list[str]]:
    """What the command line told Hydra itself, and where to look, for when the sweep is resumed."""
    words = OmegaConf.to_container(master.hydra.overrides.hydra, resolve=False)
    assert isinstance(words, list)
    sources = master.hydra.runtime.config_sources
    folders = [str(Path(it.path).absolute()) for it in sources if it.provider == "command-line"]
    return [str(word) for word in words if not str(word).startswith(_OF_ONE_TIME)], folders
