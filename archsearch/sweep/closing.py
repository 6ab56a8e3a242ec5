"""The end of a sweep: its table and pictures, on disk, in MLflow and on the screen."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from archsearch.compose.labels import describe, labels
from archsearch.compose.request import Request
from archsearch.errors import first_line
from archsearch.runs.folder import read_config
from archsearch.runs.formatting import duration
from archsearch.runs.prepare import PreparedRun, prepare_in_sweep
from archsearch.runs.result import read_result
from archsearch.sweep.pictures import draw_sweep
from archsearch.sweep.plan import SweepPlan
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import RunOutcome, markdown, outcomes_by_variant, table_text, write_tables
from archsearch.tracking.recorder import Recorder
from archsearch.tracking.sweeps import runs_page

log = logging.getLogger(__name__)

_LONGEST = 7800  # letters of a description


def close_sweep(
    planned: SweepPlan, record: SweepRecord, folder: Path, outcomes: Sequence[RunOutcome], parent: Recorder
) -> None:
    """Write, draw and record what became of the variants, and print it."""
    log.info("\n%s\n", table_text(outcomes))
    _warn_of_other_data(record, folder)
    record.write(folder)
    tables = write_tables(folder, outcomes)
    title = f"{', '.join(labels(record.keys)) or 'sweep'}: {len(outcomes)} variants"
    pictures = draw_sweep(folder, outcomes, title)
    parent.artifacts([folder / "multirun.yaml", *tables, *pictures])
    parent.describe_run(_description(record, outcomes))
    left = [outcome for outcome in outcomes if outcome.is_left]
    parent.finish(record.state, f"{len(left)} of {len(outcomes)} variants are not trained" if left else None)
    record.tracking |= parent.describe()
    best = next((outcome for outcome in outcomes if outcome.state == "FINISHED"), None)
    if best is not None and record.state != "KILLED" and record.shown != best.number:
        _show(record, folder, best.number)
    record.write(folder)
    for line in _where(planned, record, folder, outcomes):
        log.info("%s", line)


def _description(record: SweepRecord, outcomes: Sequence[RunOutcome]) -> str:
    """The table for MLflow, which cuts a description at 8,000 letters: as many rows as fit."""
    rows = len(outcomes)
    while len(text := f"{_outline(record, outcomes)}\n\n{markdown(outcomes[:rows])}") > _LONGEST:
        rows = rows * 3 // 4
    return text if rows == len(outcomes) else f"{text}\nThe whole table: table.md among the artifacts.\n"


def _outline(record: SweepRecord, outcomes: Sequence[RunOutcome]) -> str:
    trained = sum(outcome.state == "FINISHED" for outcome in outcomes)
    return (
        f"{trained} of {len(outcomes)} variants trained in {duration(record.seconds)}: `{' '.join(record.overrides)}`"
    )


def _where(planned: SweepPlan, record: SweepRecord, folder: Path, outcomes: Sequence[RunOutcome]) -> list[str]:
    shown = os.path.relpath(folder)
    lines = []
    variants = [variant for variant in outcomes_by_variant(outcomes) if variant.statistic("selecting") is not None]
    if variants:
        mean, _, n = variants[0].statistic("selecting") or (0.0, None, 0)
        name = describe(variants[0].values)
        on = "validation" if variants[0].outcomes[0].val_final is not None else "the TEST set, which is optimistic"
        seeds = f", mean of {n} seeds" if n > 1 else ", one seed: differences like those between seeds are luck"
        lines.append(f"best     {name or 'all'}: {mean:.2f} % on {on}{seeds}")
    if len(variants) > 1:
        lines.append("report   python -m archsearch.report  says which of them differ by more than luck")
    lines.append(f"folder   {shown if not shown.startswith('..') else folder}")
    if record.tracking.get("uri") is not None:
        page = runs_page(record.tracking["experiment_id"], record.id)
        uri = str(record.tracking["uri"])
        if uri.startswith("http"):
            lines.append(f"MLflow   {uri.rstrip('/')}{page}")
        else:
            lines.append(
                f"MLflow   python -m archsearch.ui  shows these variants at http://127.0.0.1:{planned.ui.port}{page}"
            )
        if not record.tracking["complete"] or not all(outcome.recorded for outcome in outcomes):
            lines.append(
                "WARNING: MLflow has not taken everything; the folder has it all, and resuming the sweep sends it"
            )
    return lines


def _show(record: SweepRecord, folder: Path, number: int) -> None:
    """Give the best variant the figures and the model that single runs have."""
    inside = folder / next(entry.folder for entry in record.entries if entry.number == number)
    result = read_result(inside)
    assert result is not None
    try:
        config = read_config(inside)
        prepared = _wanting(prepare_in_sweep(Request(config, result["choices"], tuple(result["overrides"])), inside))
        if any((prepared.log_figures, prepared.log_model)):
            from archsearch.runs.train import enrich

            if not enrich(prepared, inside):
                return
        record.shown = number
    except KeyboardInterrupt:
        log.warning("interrupted; the best variant has no figures and no model")
    except Exception as error:  # the sweep is done; this is a picture of it
        log.warning("WARNING: the best variant's figures and model are missing: %s", first_line(error))


def _wanting(prepared: PreparedRun) -> PreparedRun:
    tracking = prepared.settings.tracking
    wanted = replace(
        tracking,
        log_figures=tracking.log_figures is not False,
        log_model=tracking.log_model is not False,
    )
    return replace(prepared, settings=replace(prepared.settings, tracking=wanted))


def _warn_of_other_data(record: SweepRecord, folder: Path) -> None:
    seen: dict[str, set[str]] = {}
    for entry in record.entries:
        data = (read_result(folder / entry.folder) or {}).get("data")
        if data is not None:
            seen.setdefault(data["name"], set()).add(data["fingerprint"])
    for name, prints in seen.items():
        if len(prints) > 1:
            log.warning("WARNING: the variants were trained on different files of %s; do not compare them", name)
