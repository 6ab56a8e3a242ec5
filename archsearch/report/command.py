"""`python -m archsearch.report`: select the runs, analyze them, print the report, write the page and store it."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from archsearch.compose.request import Request
from archsearch.config.settings import parse_settings
from archsearch.errors import ConfigError, ReportError, StorageError, TrackingError, first_line
from archsearch.report.findings import Findings, analyze
from archsearch.report.options import Options
from archsearch.report.page import PAGE, write_page
from archsearch.report.sources import Selection, Sources
from archsearch.report.study import Study, has_result, studies_of
from archsearch.report.text import text
from archsearch.runs.folder import OUTPUTS
from archsearch.runs.formatting import count
from archsearch.tracking.reader import Reader
from archsearch.tracking.store import resolve_store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WrittenReport:
    """The findings, one for each study, and the page that shows them."""

    page: Path
    findings: Sequence[Findings]


def report(options: Options, request: Request) -> WrittenReport:
    """Report on the runs that `options` selects, with the store and data of `request`: print it, and write the page.

    Raises `UserError`.
    """
    settings, problems = parse_settings(request.config)
    if settings is None:
        raise ConfigError(problems)
    store = settings.tracking.uri
    with TemporaryDirectory(prefix="archsearch-report-") as scratch:
        selection = Sources(lambda: resolve_store(store, OUTPUTS), Path(scratch)).select(options)
        findings = _analyze(selection, options, Path(settings.data.root))
    page = _page_path(options, selection)
    try:
        write_page(page, selection.title, selection.command, findings, options.cost, selection.notes)
    except OSError as error:
        raise StorageError(f"cannot write {page}: {error.strerror or error}; choose another path with html=") from error
    is_stored = _store_page(page, selection)
    print(selection.title if selection.command is None else f"{selection.title}: {selection.command}", end="\n\n")
    for note in selection.notes:
        print(f"note: {note}")
    print("\n\n".join(text(study_findings, options.cost) for study_findings in findings))
    relative = os.path.relpath(page)
    print(f"\npage     {page if relative.startswith('..') else relative}")
    if is_stored:
        print("         also an artifact of the sweep's run in MLflow")
    return WrittenReport(page, findings)


def _analyze(selection: Selection, options: Options, data: Path) -> Sequence[Findings]:
    studies = studies_of(selection.runs)
    states = [run.state for run in selection.runs if not has_result(run)]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    if not studies:
        raise ReportError(f"{selection.title}: no run has an accuracy to compare ({counts})")
    if states:
        selection.notes.append(
            f"{len(states)} of {count(len(selection.runs), 'run')} left out, without an accuracy: {counts}"
        )
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


def _page_path(options: Options, selection: Selection) -> Path:
    if options.html is not None:
        return Path(options.html)
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    return (selection.folder or OUTPUTS / "reports" / now) / PAGE


def _store_page(page: Path, selection: Selection) -> bool:
    """Add the page to the artifacts of the sweep's own MLflow run, if there is one. Returns whether it was stored."""
    if selection.parent is None or selection.store is None:
        return False
    try:
        Reader.open(selection.store).upload(selection.parent, page)
    except TrackingError as error:
        log.warning("WARNING: the page could not be stored in MLflow: %s", first_line(error))
        return False
    return True
