"""Reads the folders of sweeps for a report. A damaged `sweep.json` raises `ReportError`, and nothing else."""

from pathlib import Path

from archsearch.errors import ReportError, ResumeError
from archsearch.runs.folder import OUTPUTS, SWEEP, find_sweep
from archsearch.sweep.record import SweepRecord


def read_record(folder: Path) -> SweepRecord:
    """The record of the sweep in `folder`. Raises `ReportError` if its `sweep.json` is damaged."""
    try:
        return SweepRecord.read(folder)
    except ResumeError as error:
        raise ReportError(str(error)) from error
    except RecursionError as error:
        raise ReportError(f"{folder / SWEEP}: damaged: it is nested too deeply") from error


def sweeps_by_age(outputs: Path = OUTPUTS) -> list[Path]:
    """The folders of sweeps, `last` first; damaged ones at the end."""
    started: dict[Path, str] = {}
    for path in sorted(outputs.glob(f"**/{SWEEP}")):
        try:
            started[path.parent] = read_record(path.parent).started
        except ReportError:
            started[path.parent] = ""
    folders = sorted(started, key=lambda folder: started[folder], reverse=True)
    try:
        last = find_sweep("last", outputs)
    except (ResumeError, RecursionError):
        return folders
    return sorted(folders, key=lambda folder: folder != last)
