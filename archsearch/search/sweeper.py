"""A search from its space to its finalists: Hydra calls this in place of a sweeper.

A search is a sweep whose runs, its trials, are proposed one after another. Its folder holds `study.log`, Optuna's
journal of what was proposed and told; the folders of the trials hold what they reached; `sweep.json` lists them.
"""

import logging
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from archsearch.compose.labels import labels
from archsearch.compose.validate import named_dataset
from archsearch.config.settings import SweepRunSettings
from archsearch.data.load import resolve_dataset
from archsearch.errors import ConfigError, ResumeError, StorageError, SweepError
from archsearch.runs.folder import STUDY, note_begun
from archsearch.runs.formatting import count
from archsearch.runs.prepare import open_store, prepare_in_sweep
from archsearch.search import evaluation
from archsearch.search.begun import check_begun
from archsearch.search.closing import WritePage, close_search, optimism, show_page, write_or_warn
from archsearch.search.display import SearchDisplay
from archsearch.search.engine import check_engine, engine_of, pool_of
from archsearch.search.finalists import train_finalists
from archsearch.search.loop import SearchLoop
from archsearch.search.names import change_of, name_of
from archsearch.search.planning import with_model
from archsearch.search.proposals import Proposal, Proposer
from archsearch.search.setup import SearchPlan, plan_search
from archsearch.search.spending import Spending
from archsearch.search.stopping import NoStopping
from archsearch.search.storage import open_study
from archsearch.search.summary import summarise
from archsearch.sweep.job import SUBDIR, job_overrides
from archsearch.sweep.logs import logged_to
from archsearch.sweep.machine import environment
from archsearch.sweep.numbering import hydra_arguments, sweep_id
from archsearch.sweep.opening import Datasets, open_parent, recorded_store, resume_argument, resumed_sweep
from archsearch.sweep.record import Entry, SweepRecord, sweep_lock
from archsearch.sweep.results import RunOutcome, outcomes_of
from archsearch.sweep.worker import LOG, AttemptEnd, Job
from archsearch.system.screen import doing
from archsearch.tracking.store import Store
from archsearch.tracking.sweeps import begun_runs

log = logging.getLogger(__name__)

_RESUME = "resume   python -m archsearch -m %s  %s"
_WRITE_SECONDS = 5.0  # between two versions of sweep.json, which the study can restore


def run_search(loader: ConfigLoader, master: DictConfig, write_page: WritePage | None = None) -> None:
    """Search as `master`, the configuration of a multirun, says; or continue a search.

    In the context of `evaluating`, a function of the user's evaluates the trials. `write_page` writes the page of the
    search.

    Raises `UserError`s before anything is created, and `KeyboardInterrupt` after Ctrl-C, once everything is recorded.
    """
    folder = Path(str(master.hydra.sweep.dir))
    before, datasets, function = resumed_sweep(master, folder), Datasets(), evaluation.evaluate_function()
    if before is not None and not (folder / STUDY).is_file():
        raise ResumeError(f"resume: {folder} has no {STUDY}, so it is no search; restore that file, or start anew")
    if before is not None:
        evaluation.check_same_kind(before, function)
    with doing("planning the search"):
        planned = plan_search(loader, master, datasets.find if function is None else named_dataset, before)
    if function is not None:
        evaluation.check_untrained(planned.overrides, planned.search)
    with environment(recorded_store(before)):
        if function is None:
            check_engine(planned)
        with doing("opening the MLflow store"):
            store = open_store(planned.tracking)
        record = _new_record(planned, folder, master) if before is None else _resumed_record(before, planned)
        record.evaluated = function is not None
        try:
            engine = engine_of(planned, folder) if function is None else nullcontext()
            with sweep_lock(folder), engine:
                search = _Search(planned, record, folder, store, master, function, write_page)
                OmegaConf.save(master, folder / "multirun.yaml")  # as Hydra's own sweeper leaves it
                note_begun(folder)
                search.run(datasets)
        except OSError as error:
            problem = f"cannot write to {error.filename or folder}: {error.strerror or error}"
            raise StorageError(f"{problem}; set hydra.sweep.dir to use another folder") from error


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


class _Search:
    def __init__(
        self,
        planned: SearchPlan,
        record: SweepRecord,
        folder: Path,
        store: Store | None,
        master: DictConfig,
        function: evaluation.Evaluate | None,
        write_page: WritePage | None,
    ) -> None:
        self.planned, self.record, self.folder, self.store, self.master = planned, record, folder, store, master
        self.write_page = write_page
        self.function = function  # evaluates the trials, in place of training
        search, epochs = planned.search, planned.settings.trainer.epochs
        self.study = open_study(folder / STUDY, search.objectives)
        check_begun(self.study, planned.base)
        self.proposer = Proposer(
            self.study,
            planned.space,
            planned.checks,
            sampler=planned.sampler,
            objectives=search.objectives,
            seed=search.seed,
            duplicates=search.duplicates,
        )
        self._check_complete()
        self.spending = Spending(search.budget, seconds=record.seconds)
        self.spent_before = record.seconds
        stopping = planned.stopping() if function is None else NoStopping((1,))
        self.loop = SearchLoop(self.proposer, stopping, epochs, self.spending, self._folder_of, self._job, self._add)
        self._resolve = cache(resolve_dataset if function is None else evaluation.unread_dataset)
        self._begun_runs: dict[int, str] = {}  # in MLflow, by trial, by earlier sessions
        self._written = 0.0

    def run(self, datasets: Datasets) -> None:
        """Search until the budget is spent or there is nothing left to propose; then train the finalists."""
        with logged_to(self.folder):
            log.info("%s", self.planned.space.describe())
            datasets.announce_fallbacks()
            with doing("starting the search in MLflow"):
                tags = {"search.sampler": self.planned.sampler}
                parent = open_parent(self.record, self.folder, self.store, self.planned.tracking, self._name(), tags)
            proposals, failed = self.proposer.proposals(), self.proposer.failed()
            if proposals and self.store is not None:
                self._begun_runs = begun_runs(self.store, self.planned.tracking.experiment, self.record.id)
            entries = [self._entry(proposal) for proposal in proposals.values()]
            self.record.entries = [replace(entry, failed=entry.number in failed) for entry in entries]
            self.loop.resume(proposals, sends=self.store is not None)
            log.info("budget   %s", self.spending.describe())
            interrupted = self._search()
            all_failed = bool(self.record.entries) and all(entry.failed for entry in self.record.entries)
            self.record.state = "KILLED" if interrupted else "FAILED" if all_failed else "FINISHED"
            self._write()
            summary = summarise(self.record, self.folder, self.study)
            pages = close_search(summary, self.spending, parent, self.write_page)
            if not all(outcome.recorded for outcome in outcomes_of(self.record, self.folder)):
                log.warning("WARNING: MLflow is missing some results; they are in the folder, and resuming sends them")
            if interrupted is None and self.function is None and not all_failed:
                finalists = self._train_finalists()
                pages = write_or_warn(replace(summary, finalists=finalists), self.write_page)
                parent.log_artifacts(pages)
            show_page(pages)
            if interrupted is not None:
                resume = _RESUME if self.function is None else evaluation.RESUME
                log.warning(resume, resume_argument(self.folder), "goes on with the search")
        if interrupted is not None:
            raise interrupted
        if all_failed:
            first, *_ = entries = self.record.entries
            problem = f"all trials ({len(entries)}) failed"
            raise SweepError(f"{problem}; see their logs, such as {self._folder_of(first.number) / LOG}")

    def _search(self) -> KeyboardInterrupt | ConfigError | None:
        """Train trials until nothing is left to train; returns what interrupted it."""
        settings = replace(self.planned.sweep, retries=max(1, self.planned.sweep.retries))
        began = time.monotonic()
        with SearchDisplay(self.loop, is_untrained=self.function is not None) as display:
            listener = _Listener(self, display, began)
            try:
                if self.function is not None:
                    evaluation.evaluate_trials(self.function, self.proposer.objectives, self.loop.next_team, listener)
                    return None
                pool = pool_of(self.planned, settings, self.folder, self.master, listener)
                pool.run([], self.loop.next_team)
            except (KeyboardInterrupt, ConfigError) as interrupt:
                return interrupt
            finally:
                listener.count_time()
        return None

    def _name(self) -> str:
        architectures = [] if self.planned.space.architectures is None else ["architectures"]
        return f"search of {', '.join([*architectures, *labels(self.planned.keys)])}"

    def _check_complete(self) -> None:
        """Raise `ResumeError` if the study has lost trials, whose numbers and folders others would get."""
        proposals = self.proposer.proposals()
        lost = [entry.number for entry in self.record.entries if entry.number not in proposals]
        if lost:
            problem = f"{self.folder / STUDY}: damaged: {count(len(lost), 'trial')} of sweep.json, such as {lost[0]},"
            raise ResumeError(f"{problem} missing; restore it, or start a new search")

    def _train_finalists(self) -> list[RunOutcome]:
        """Train the best trials again; returns the outcomes, none if there are no finalists."""
        planned, record, folder = self.planned, self.record, self.folder
        proposals = self.loop.best(planned.search.finalists)
        if not proposals:
            if planned.search.finalists:
                reason = f"no trial has trained all {count(planned.settings.trainer.epochs, 'epoch')}"
                log.warning("WARNING: there are no finalists: %s; resume with a larger search.budget", reason)
            return []
        try:
            outcomes = train_finalists(planned, record, folder, self.store, self.master, proposals)
        except (KeyboardInterrupt, SweepError):
            log.warning(_RESUME, resume_argument(folder), "trains the remaining finalists")
            raise
        log.info("%s", optimism(record, folder, outcomes))
        return outcomes

    def _folder_of(self, number: int) -> Path:
        return self.folder / str(number)

    def _add(self, proposal: Proposal) -> None:
        self.record.entries.append(self._entry(proposal))
        self.write_sometimes()

    def write_sometimes(self) -> None:
        """Write `sweep.json` unless that was done just now."""
        if time.monotonic() - self._written > _WRITE_SECONDS:
            self._write()

    def _write(self) -> None:
        self.record.seconds = self.spending.seconds
        if self.record.entries:  # an empty list is no sweep
            self.record.write(self.folder)
        self._written = time.monotonic()

    def _entry(self, proposal: Proposal) -> Entry:
        values = {**proposal.values, **({} if proposal.model is None else {"change": change_of(proposal)})}
        number = proposal.number
        return Entry(
            number, str(number), name_of(proposal), values, list(proposal.overrides), proposal.identity, "READY",
            params=proposal.params, macs=proposal.macs,
        )  # fmt: skip

    def _job(self, proposal: Proposal, until: int) -> Job:
        """The step of a trial to the end of epoch `until`."""
        number, folder = proposal.number, self._folder_of(proposal.number)
        parent = self.record.tracking.get("run_id")
        sweep_run = SweepRunSettings(
            sweep=self.record.id,
            number=number,
            name=name_of(proposal),
            parent=parent,
            run_id=self._begun_runs.get(number),
            trial=True,
        )
        overrides = job_overrides(proposal.overrides, folder.name, sweep_run)
        request = self.planned.composer.request([word for word in overrides if not word.startswith(SUBDIR)], number)
        if proposal.model is not None:
            request = replace(request, config=with_model(request.config, proposal.model))
        return Job(number, prepare_in_sweep(request, folder, self._resolve), folder, until)


class _Listener:
    """Tells the loop and the display what the pool reports."""

    def __init__(self, search: _Search, display: SearchDisplay, began: float) -> None:
        self._search, self._display, self._began = search, display, began
        self.started, self.progressed, self.stopping = display.started, display.progressed, display.stopping

    def ended(self, job: Job, end: AttemptEnd, retried: bool) -> None:
        """A step of a trial ended."""
        if not retried:
            self._search.loop.ended(job, end)
            if end.state == "FAILED":  # a worker that died early leaves no `result.json`
                entry = next(entry for entry in self._search.record.entries if entry.number == job.number)
                entry.failed, entry.reason = True, end.reason
        self._display.ended(job, end, retried)
        self._search.write_sometimes()

    def tick(self) -> None:
        """Some time has passed."""
        self.count_time()
        self._display.tick()
        self._search.write_sometimes()

    def count_time(self) -> None:
        """Count the seconds of this session."""
        search = self._search
        search.spending.seconds = search.spent_before + time.monotonic() - self._began
