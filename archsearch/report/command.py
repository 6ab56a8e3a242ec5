"""`python -m archsearch.report`: select the runs, analyze them, print the report, write the page and store it."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from archsearch.compose.request import Request
from archsearch.config.settings import parse_settings
from archsearch.errors import ConfigError, ReportError, TrackingError, first_line
from archsearch.report.data import csv_text, json_text
from archsearch.report.failures import failure_notes
from archsearch.report.files import check_page, data_paths, page_path, write_files
from archsearch.report.findings import Findings, analyze
from archsearch.report.options import Options
from archsearch.report.page import page_text
from archsearch.report.progress import StatusLine
from archsearch.report.separation import separated
from archsearch.report.sources import Selection, Sources
from archsearch.report.study import Study, has_result, studies_of
from archsearch.report.text import text, wrapped
from archsearch.runs.folder import OUTPUTS
from archsearch.runs.formatting import count
from archsearch.system.terminal import terminal_width
from archsearch.tracking.reader import Reader
from archsearch.tracking.store import resolve_store

log = logging.getLogger(__name__)


def report(options: Options, request: Request, status: StatusLine | None = None) -> Path:
    """Report on the runs that `options` selects, with the store and data of `request`; returns the page's path.

    `status` shows what is being done. Raises `UserError`.
    """
    settings, problems = parse_settings(request.config)
    if settings is None:
        raise ConfigError(problems)
    if options.html is not None:
        check_page(Path(options.html))
    store = settings.tracking.uri
    with status or StatusLine() as line, TemporaryDirectory(prefix="archsearch-report-") as scratch:
        line.show("finding runs")
        sources = Sources(lambda: resolve_store(store, OUTPUTS), Path(scratch), settings.ui.port, line.show)
        selection = sources.select(options)
        line.show(f"testing the pairs among {count(len(selection.runs), 'run')}")
        findings = _analyze(selection, options, Path(settings.data.root))
        line.show("drawing the page")
        page = page_path(options, selection, findings)
        title, command, notes = selection.title, selection.command, selection.notes
        names = [path.name for path in data_paths(page)]
        content = page_text(title, command, findings, options.cost, notes, names)
        write_files(
            page, [content, csv_text(findings), json_text(title, command, findings, notes)], options.html is not None
        )
        line.show("storing the page in MLflow")
        is_stored = _store_page(page, selection)
    _print(selection, findings, options)
    print(f"\npage     {', '.join([_relative(page), *names])}")
    if is_stored:
        print("         also artifacts of the sweep's run in MLflow")
    return page


def _print(selection: Selection, findings: Sequence[Findings], options: Options) -> None:
    width = terminal_width()
    print(wrapped(selection.title if selection.command is None else f"{selection.title}: {selection.command}", width))
    print()
    for note in selection.notes:
        print(wrapped(f"note: {note}", width))
    print("\n\n".join(text(study_findings, options.cost, width) for study_findings in findings))


def _relative(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _analyze(selection: Selection, options: Options, data: Path) -> Sequence[Findings]:
    studies, why_separate = separated(studies_of(selection.runs))
    states = [run.state for run in selection.runs if not has_result(run)]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    if not studies:
        raise ReportError(f"{selection.title}: no run has an accuracy to compare ({counts})")
    if states:
        selection.notes.append(
            f"{len(states)} of {count(len(selection.runs), 'run')} left out, without an accuracy: {counts}"
        )
    selection.notes += [*failure_notes(selection.runs), *why_separate]
    if len(studies) == 1 or not (options.compare or options.baseline):
        return [analyze(study, options, data) for study in studies]
    return _analyze_where_named(studies, options, data)


def _analyze_where_named(studies: Sequence[Study], options: Options, data: Path) -> list[Findings]:
    """Analyze studies of which only some have the variants that `options` names."""
    findings: list[Findings] = []
    errors: list[ReportError] = []
    for study in studies:
        try:
            findings.append(analyze(study, options, data))
        except ReportError as error:
            errors.append(error)
            findings.append(analyze(study, replace(options, compare=(), baseline=None), data))
    if len(errors) == len(studies):
        raise errors[0]
    return findings


def _store_page(page: Path, selection: Selection) -> bool:
    """Add the page and its data to the artifacts of the sweep's own MLflow run. Returns whether they were stored."""
    if selection.parent is None or selection.store is None:
        return False
    try:
        reader = Reader.open(selection.store)
        for path in (page, *data_paths(page)):
            reader.upload(selection.parent, path)
    except TrackingError as error:
        log.warning("WARNING: the page could not be stored in MLflow: %s", first_line(error))
        return False
    return True
