"""`python -m archsearch.report`: find the runs, work out what they show, print it, write the page, and file it."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from archsearch.compose.request import Request
from archsearch.config.settings import parse_settings
from archsearch.errors import ConfigError, ReportError, StorageError, TrackingError, first_line
from archsearch.report.findings import Findings, find
from archsearch.report.options import Options
from archsearch.report.page import PAGE, write_page
from archsearch.report.sources import Gathered, Sources
from archsearch.report.study import Study, has_result, studies_of
from archsearch.report.text import text
from archsearch.runs.folder import OUTPUTS
from archsearch.tracking.reader import Reader
from archsearch.tracking.store import resolve_store

log = logging.getLogger(__name__)


def report(options: Options, request: Request) -> Path:
    """Report on what was `options` for, with the store and the data of `request`; returns the page's path.

    Raises `UserError`s.
    """
    settings, problems = parse_settings(request.config)
    if settings is None:
        raise ConfigError(problems)
    store = settings.tracking.uri
    with TemporaryDirectory(prefix="archsearch-report-") as scratch:
        gathered = Sources(lambda: resolve_store(store, OUTPUTS), Path(scratch)).gather(options)
        found = _found(gathered, options, Path(settings.data.root))
    page = _page_of(options, gathered)
    try:
        write_page(page, gathered.title, gathered.command, found, options.cost, gathered.notes)
    except OSError as error:
        raise StorageError(f"cannot write {page}: {error.strerror or error}; html=PATH puts it elsewhere") from error
    is_filed = _file(page, gathered)
    print(gathered.title if gathered.command is None else f"{gathered.title}: {gathered.command}", end="\n\n")
    for note in gathered.notes:
        print(f"note: {note}")
    print("\n\n".join(text(each, options.cost) for each in found))
    shown = os.path.relpath(page)
    print(f"\npage     {page if shown.startswith('..') else shown}")
    if is_filed:
        print("         and among the artifacts of the sweep's run in MLflow")
    return page


def _found(gathered: Gathered, options: Options, data: Path) -> Sequence[Findings]:
    studies = studies_of(gathered.trials)
    without = [trial.state for trial in gathered.trials if not has_result(trial)]
    if without:
        counted = ", ".join(f"{without.count(state)} {state}" for state in sorted(set(without)))
        gathered.notes.append(
            f"{len(without)} of {len(gathered.trials)} runs have no accuracy to compare, and are left out: {counted}"
        )
    if not studies:
        raise ReportError(f"{gathered.title}: none of its {len(gathered.trials)} runs has an accuracy to compare")
    if len(studies) == 1 or not (options.compare or options.baseline):
        return [find(study, options, data) for study in studies]
    return _where_known(studies, options, data)


def _where_known(studies: Sequence[Study], options: Options, data: Path) -> list[Findings]:
    """The variants that `options` names need to be in one of the studies only."""
    found: list[Findings] = []
    errors: list[ReportError] = []
    for study in studies:
        try:
            found.append(find(study, options, data))
        except ReportError as error:
            errors.append(error)
            found.append(find(study, replace(options, compare=(), baseline=None), data))
    if len(errors) == len(studies):
        raise errors[0]
    return found


def _page_of(options: Options, gathered: Gathered) -> Path:
    if options.html is not None:
        return Path(options.html)
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    return (gathered.folder or OUTPUTS / "reports" / now) / PAGE


def _file(page: Path, gathered: Gathered) -> bool:
    """Keep the page with the sweep's own run in MLflow, if there is one. Returns whether it is there."""
    if gathered.parent is None or gathered.store is None:
        return False
    try:
        Reader.open(gathered.store).keep(gathered.parent, page)
    except TrackingError as error:  # the page is there
        log.warning("WARNING: the page is not in MLflow: %s", first_line(error))
        return False
    return True
