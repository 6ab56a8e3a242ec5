"""The end of a sweep: its tables and figures are written, recorded in MLflow and printed."""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from archsearch.compose.labels import describe, labels
from archsearch.compose.overrides import as_typed
from archsearch.compose.request import Request
from archsearch.config.settings import UiSettings
from archsearch.errors import first_line
from archsearch.runs.folder import read_config
from archsearch.runs.formatting import count, duration
from archsearch.runs.prepare import PreparedRun, prepare_in_sweep
from archsearch.runs.result import read_result
from archsearch.sweep.grid import count_runs
from archsearch.sweep.pictures import draw_sweep
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.result_tables import markdown, result_table, write_tables
from archsearch.sweep.results import RunOutcome, outcomes_by_variant
from archsearch.system.screen import doing
from archsearch.tracking.recorder import Recorder
from archsearch.tracking.sweeps import runs_page

log = logging.getLogger(__name__)

MISSING_RESULTS = "WARNING: MLflow is missing some results; they are in the folder, and resuming sends them"
_MAX_COMPARED = 100  # runs in a link; more make it longer than browsers and servers take
_MAX_DESCRIPTION = 7800  # characters; MLflow cuts descriptions at 8,000


def close_sweep(
    ui: UiSettings, record: SweepRecord, folder: Path, outcomes: Sequence[RunOutcome], parent: Recorder
) -> None:
    """Write, draw, record and print the outcomes; `parent` is the recorder of the sweep's own MLflow run."""
    log.info(result_table(outcomes))
    _warn_of_other_data(record, folder)
    record.write(folder)
    tables = write_tables(folder, outcomes)
    title = f"{', '.join(labels(record.keys)) or 'sweep'}: {_counts(outcomes)}"
    with doing("drawing the sweep's figures"):
        pictures = draw_sweep(folder, outcomes, title)
    with doing("recording the sweep in MLflow"):
        parent.log_artifacts([folder / "multirun.yaml", *tables, *pictures])
        parent.set_description(_description(record, outcomes))
    unfinished = sum(outcome.is_unfinished for outcome in outcomes)
    reason = f"{unfinished} of {count(len(outcomes), 'run')} did not finish" if unfinished else None
    with doing("waiting for MLflow"):
        parent.finish(record.state, reason)
    record.tracking |= parent.describe()
    best = next((outcome for outcome in outcomes if outcome.state == "FINISHED"), None)
    if best is not None and record.state != "KILLED" and record.shown != best.number:
        with doing("recording the best run's figures and model"):
            _show(record, folder, best.number)
    record.write(folder)
    for line in _closing_lines(ui, record, folder, outcomes):
        log.info("%s", line)


def _counts(outcomes: Sequence[RunOutcome]) -> str:
    return count_runs([outcome.values for outcome in outcomes])


def _description(record: SweepRecord, outcomes: Sequence[RunOutcome]) -> str:
    """The table for MLflow, with as many rows as fit into a description."""
    rows = len(outcomes)
    while len(text := f"{_outline(record, outcomes)}\n\n{markdown(outcomes[:rows])}") > _MAX_DESCRIPTION:
        rows = rows * 3 // 4
    return text if rows == len(outcomes) else f"{text}\nThe complete table is the artifact table.md.\n"


def _outline(record: SweepRecord, outcomes: Sequence[RunOutcome]) -> str:
    trained = sum(outcome.state == "FINISHED" for outcome in outcomes)
    seconds = duration(record.seconds)
    return f"{_counts(outcomes)}, {trained} trained in {seconds}: `{' '.join(map(as_typed, record.overrides))}`"


def _closing_lines(ui: UiSettings, record: SweepRecord, folder: Path, outcomes: Sequence[RunOutcome]) -> list[str]:
    """The best variant, and where to read on."""
    lines = []
    variants = [variant for variant in outcomes_by_variant(outcomes) if variant.statistic("selecting") is not None]
    if variants:
        mean, _, n = variants[0].statistic("selecting") or (0.0, None, 0)
        name = describe(variants[0].values)
        validated = variants[0].outcomes[0].val_final is not None
        images = "validation" if validated else "the TEST set, which is optimistic"
        seeds = f", mean of {n} seeds" if n > 1 else ", one seed: small differences may be noise"
        lines.append(f"best     {name or 'all'}: {mean:.2f} % on {images}{seeds}")
    if len(variants) > 1:
        lines.append("report   python -m archsearch.report  shows which differences are statistically significant")
    relative = os.path.relpath(folder)
    lines.append(f"folder   {folder if relative.startswith('..') else relative}")
    if record.tracking.get("uri") is not None:
        page = runs_page(record.tracking["experiment_id"], record.id)
        uri = str(record.tracking["uri"])
        served = uri.startswith("http")
        address = uri.rstrip("/") if served else f"http://127.0.0.1:{ui.port}"
        lines.append(f"MLflow   {'' if served else 'python -m archsearch.ui  shows these runs at '}{address}{page}")
        run_ids = [outcome.run_id for outcome in outcomes if outcome.state == "FINISHED" and outcome.run_id]
        if len(run_ids) > 1:
            compared = f"the best {_MAX_COMPARED} of {len(run_ids)} runs at " if len(run_ids) > _MAX_COMPARED else ""
            lines.append(f"compare  {compared}{address}{compare_page(record.tracking['experiment_id'], run_ids)}")
        if not record.tracking["complete"] or not all(outcome.recorded for outcome in outcomes):
            lines.append(MISSING_RESULTS)
    return lines


def compare_page(experiment_id: str, run_ids: Sequence[str]) -> str:
    """Path of the MLflow UI's page with parallel coordinates of the first 100 of `run_ids`."""
    runs, experiments = (
        quote(json.dumps(ids, separators=(",", ":"))) for ids in (list(run_ids[:_MAX_COMPARED]), [experiment_id])
    )
    return f"/#/compare-runs?runs={runs}&experiments={experiments}"


def _show(record: SweepRecord, folder: Path, number: int) -> None:
    """Give the best run the figures and the model that a single run has."""
    run_folder = folder / next(entry.folder for entry in record.entries if entry.number == number)
    result = read_result(run_folder)
    assert result is not None
    try:
        request = Request(read_config(run_folder), result["choices"], tuple(result["overrides"]))
        prepared = _with_extras(prepare_in_sweep(request, run_folder))
        if prepared.log_figures or prepared.log_model:
            from archsearch.runs.train import enrich

            if not enrich(prepared, run_folder):
                return
        record.shown = number
    except KeyboardInterrupt:
        log.warning("interrupted; the best run has no figures and no model")
    except Exception as error:  # the results are complete without these extras
        log.warning("WARNING: the best run has no figures and no model: %s", first_line(error))


def _with_extras(prepared: PreparedRun) -> PreparedRun:
    """`prepared`, with figures and model unless they are switched off."""
    tracking = prepared.settings.tracking
    tracking = replace(
        tracking, log_figures=tracking.log_figures is not False, log_model=tracking.log_model is not False
    )
    return replace(prepared, settings=replace(prepared.settings, tracking=tracking))


def _warn_of_other_data(record: SweepRecord, folder: Path) -> None:
    fingerprints: dict[str, set[str]] = {}
    for entry in record.entries:
        data = (read_result(folder / entry.folder) or {}).get("data")
        if data is not None:
            fingerprints.setdefault(data["name"], set()).add(data["fingerprint"])
    for name, versions in fingerprints.items():
        if len(versions) > 1:
            log.warning("WARNING: the runs were trained on different versions of %s; do not compare them", name)
