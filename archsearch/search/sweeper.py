"""A search from its command line to its last finalist: Hydra calls this in place of a sweeper.

A search is a sweep whose runs, its trials, are proposed one after another. Its folder holds `study.log`, Optuna's
journal of what was proposed and told; the folders of the trials hold what they reached; `sweep.json` lists them.
"""

from contextlib import ExitStack
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from archsearch.compose.validate import named_dataset
from archsearch.errors import ResumeError, StorageError
from archsearch.runs.folder import STUDY, SWEEP, is_search, note_begun
from archsearch.runs.prepare import open_store
from archsearch.runs.storage import cannot_write
from archsearch.search import evaluation
from archsearch.search.closing import WritePage
from archsearch.search.engine import check_engine, engine_of
from archsearch.search.joining import agreed_precision, check_joined, joined, note_joined
from archsearch.search.session import GO_ON, Session
from archsearch.search.setup import SearchPlan, plan_search
from archsearch.sweep.logs import logged_to
from archsearch.sweep.machine import environment
from archsearch.sweep.numbering import hydra_arguments, sweep_id
from archsearch.sweep.opening import Datasets, recorded_store, resume_argument, resumed_sweep
from archsearch.sweep.record import SweepRecord, sweep_lock
from archsearch.system.screen import doing


def run_search(loader: ConfigLoader, master: DictConfig, write_page: WritePage | None = None) -> None:
    """Search as `master`, the configuration of a multirun, says; or continue a search.

    Raises `UserError`s before anything is created, and `KeyboardInterrupt` after Ctrl-C, once everything is recorded.
    """
    folder = Path(str(master.hydra.sweep.dir))
    before, datasets, function = resumed_sweep(master, folder), Datasets(), evaluation.evaluate_function()
    find_dataset = datasets.find if function is None else named_dataset
    if before is not None and not is_search(folder):
        raise ResumeError(f"resume: {folder} has no {STUDY}, so it is no search; name one, or restore that file")
    if before is not None:
        evaluation.check_same_kind(before, function)
    with logged_to(None), doing("planning the search"):
        planned = plan_search(loader, master, find_dataset, None if before is None else before.precision)
    if function is not None:
        evaluation.check_untrained(planned.overrides, planned.search)
    check_joined(planned.search, folder)
    with environment(recorded_store(before)):
        if function is None:
            check_engine(planned)
        with doing("opening the MLflow store"):
            store = open_store(planned.tracking)
        record = _new_record(planned, folder, master) if before is None else _resumed_record(before, planned)
        record.evaluated = function is not None
        try:
            with ExitStack() as stack:
                stack.enter_context(sweep_lock(folder))
                if function is None:
                    stack.enter_context(engine_of(planned, folder))
                shared = stack.enter_context(joined(planned.search, folder, record.id))
                precision = planned.precision if shared is None else agreed_precision(shared, planned.precision)
                if precision != planned.precision:  # as chosen by the process that began the study
                    planned = plan_search(loader, master, find_dataset, precision)
                    record.precision = precision
                session = Session(planned, record, folder, store, master, shared, function, write_page)
                OmegaConf.save(master, folder / "multirun.yaml")  # as Hydra's own sweeper leaves it
                note_joined(planned.search, folder)
                note_begun(folder)
                session.run(datasets)
        except OSError as error:
            has_begun = (folder / SWEEP).is_file()
            advice = GO_ON % resume_argument(folder) if has_begun else "set hydra.sweep.dir to use another folder"
            raise StorageError(f"{cannot_write(error, folder)}; {advice}") from error


def _new_record(planned: SearchPlan, folder: Path, master: DictConfig) -> SweepRecord:
    keys = [*planned.keys, *([] if planned.space.architectures is None else ["change"])]
    record = SweepRecord(list(planned.overrides), sweep_id(folder), keys, [], precision=planned.precision)
    record.hydra, record.config_dir = hydra_arguments(master)
    return record


def _resumed_record(record: SweepRecord, planned: SearchPlan) -> SweepRecord:
    """`record` with the budget and the finalists that the search goes on with, so that the next session has them."""
    before = set(record.overrides)
    changed = [word for word in planned.overrides if word not in before and word.lstrip("+").startswith("search.")]
    keys = {word.partition("=")[0] for word in changed}
    record.overrides = [word for word in record.overrides if word.partition("=")[0] not in keys] + changed
    record.state = "RUNNING"
    return record
