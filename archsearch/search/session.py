"""One session of a search: it trains trials until the budget is spent, closes the search, and trains the finalists."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from archsearch.compose.labels import labels
from archsearch.config.settings import SweepRunSettings
from archsearch.data.load import resolve_dataset
from archsearch.errors import ConfigError, ResumeError, StorageError, SweepError
from archsearch.runs.folder import STUDY
from archsearch.runs.formatting import count
from archsearch.runs.prepare import prepare_in_sweep
from archsearch.search import evaluation
from archsearch.search.begun import check_begun
from archsearch.search.closing import WritePage, close_search, optimism, show_page, write_or_warn
from archsearch.search.display import SearchDisplay
from archsearch.search.engine import pool_of
from archsearch.search.entries import entry_of, name_of, trial_elsewhere
from archsearch.search.finalists import train_finalists
from archsearch.search.loop import SearchLoop
from archsearch.search.planning import with_model
from archsearch.search.proposals import Proposal, Proposer
from archsearch.search.setup import SearchPlan
from archsearch.search.spending import Spending
from archsearch.search.stopping import NoStopping
from archsearch.search.storage import open_study
from archsearch.search.summary import Summary, summarise
from archsearch.search.trials import Trial
from archsearch.sweep.closing import MISSING_RESULTS
from archsearch.sweep.job import SUBDIR, job_overrides
from archsearch.sweep.logs import logged_to
from archsearch.sweep.opening import Datasets, begun_before, open_parent, resume_argument
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import RunOutcome
from archsearch.sweep.worker import LOG, AttemptEnd, Job
from archsearch.system.screen import doing
from archsearch.tracking.recorder import Recorder
from archsearch.tracking.store import Store

if TYPE_CHECKING:
    from archsearch.search.shared import Shared

log = logging.getLogger(__name__)

GO_ON = "nothing is lost: free some space, then go on with %s"
_RESUME = "resume   python -m archsearch -m %s  %s"
_WRITE_SECONDS = 5.0  # between two versions of sweep.json, which the study can restore


class Session:
    """A session of the search in `folder`. `shared` is a study of several processes, `function` evaluates trials in
    place of training, `write_page` writes the page of the search.
    """

    def __init__(
        self,
        planned: SearchPlan,
        record: SweepRecord,
        folder: Path,
        store: Store | None,
        master: DictConfig,
        shared: "Shared | None" = None,
        function: evaluation.Evaluate | None = None,
        write_page: WritePage | None = None,
    ) -> None:
        self.planned, self.record, self.folder, self.store, self.master = planned, record, folder, store, master
        self.shared, self.process = shared, "" if shared is None else shared.me
        self.function, self.write_page = function, write_page
        search = planned.search
        self.study = open_study(folder / STUDY, search.objectives) if shared is None else shared.study
        lock = nullcontext() if shared is None else shared.database.lock
        with lock:
            check_begun(self.study, planned.base)
        self.proposer = Proposer(
            self.study,
            planned.space,
            planned.checks,
            sampler=planned.sampler,
            objectives=search.objectives,
            seed=search.seed,
            duplicates=search.duplicates,
            lock=lock,
            check_lock=lambda: None if shared is None else shared.database.lock.check(),
            process=self.process,
        )
        self._check_complete()
        self.spending = Spending(search.budget, seconds=record.seconds)
        self.spent_before = record.seconds
        self.loop = self._loop()
        self._resolve = cache(resolve_dataset if function is None else evaluation.unread_dataset)
        self._begun_runs: Mapping[int, str] = {}  # in MLflow, by trial, by earlier sessions
        self._written = 0.0

    def _loop(self) -> SearchLoop:
        epochs = self.planned.settings.trainer.epochs
        stopping = self.planned.stopping() if self.function is None else NoStopping((1,))
        arguments = (self.proposer, stopping, epochs, self.spending, self._folder_of, self._job, self._add)
        if self.shared is None:
            return SearchLoop(*arguments)
        from archsearch.search.joint_loop import JointLoop

        return JointLoop(*arguments, shared=self.shared)

    def run(self, datasets: Datasets) -> None:
        """Search until the budget is spent or there is nothing left to propose; then train the finalists."""
        with logged_to(self.folder):
            log.info("%s", self.planned.space.describe())
            datasets.announce()
            with doing("starting the search in MLflow"):
                tags = {"search.sampler": self.planned.sampler}
                parent = open_parent(self.record, self.folder, self.store, self.planned.tracking, self._name(), tags)
            proposals = self.proposer.proposals()
            # One that failed after it had stopped once has been told to the study as complete.
            reasons = {entry.number: entry.reason for entry in self.record.entries if entry.failed}
            failed = self.proposer.failed() | set(reasons)
            if proposals and self.store is not None:
                self._begun_runs = begun_before(self.record, self.store, self.planned.tracking)
            entries = [entry_of(proposal) for proposal in proposals.values() if proposal.process == self.process]
            self.record.entries = [
                replace(entry, failed=entry.number in failed, reason=reasons.get(entry.number)) for entry in entries
            ]
            self.loop.resume(proposals, failed, sends=self.store is not None)
            log.info("budget   %s", self.spending.describe())
            interrupted = self._search()
            all_failed = bool(self.record.entries) and all(entry.failed for entry in self.record.entries)
            all_failed = all_failed and not self.loop.front()
            self.record.state = "KILLED" if interrupted else "FAILED" if all_failed else "FINISHED"
            self._write()
            summary = summarise(self.record, self.folder, self.study, self._elsewhere())
            pages = close_search(summary, self.spending, parent, self.write_page)
            if not all(trial.outcome.recorded for trial in summary.trials.values()):
                log.warning("%s", MISSING_RESULTS)
            if interrupted is None and self.function is None and not all_failed:
                with self.loop.closing() as trains_finalists:
                    if trains_finalists:
                        pages = self._train_finalists(summary, parent)
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

    def _elsewhere(self) -> list[Trial]:
        """The trials of the front that other processes have trained."""
        here, keys = {entry.number for entry in self.record.entries}, self.record.keys
        trials = [self.loop.trained(number) for number in self.loop.front() if number not in here]
        return [trial_elsewhere(*trial, keys, self.loop.epochs, self._folder_of(trial[0].number)) for trial in trials]

    def _train_finalists(self, summary: Summary, parent: Recorder) -> list[Path]:
        """Train the best trials again; returns the path of the search's page, which has them then."""
        outcomes = self._outcomes_of_finalists()
        pages = write_or_warn(replace(summary, finalists=outcomes), self.write_page)
        parent.log_artifacts(pages)
        return pages

    def _outcomes_of_finalists(self) -> Sequence[RunOutcome]:
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
        chosen = {proposal.number: self.loop.trained(proposal.number)[1] for proposal in proposals}
        log.info("%s", optimism(chosen, outcomes))
        return outcomes

    def _folder_of(self, number: int) -> Path:
        return self.folder / str(number)

    def _add(self, proposal: Proposal) -> None:
        self.record.entries.append(entry_of(proposal))
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

    def _job(self, proposal: Proposal, until: int) -> Job:
        """The step of a trial to the end of epoch `until`."""
        number, folder = proposal.number, self._folder_of(proposal.number)
        sweep_run = SweepRunSettings(
            sweep=self.record.id,
            number=number,
            name=name_of(proposal),
            parent=self.record.tracking.get("run_id"),
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

    def __init__(self, session: Session, display: SearchDisplay, began: float) -> None:
        self._session, self._display, self._began = session, display, began
        self.started, self.progressed, self.stopping = display.started, display.progressed, display.stopping

    def ended(self, job: Job, end: AttemptEnd, retried: bool) -> None:
        """A step of a trial ended. Raises `StorageError` if no trial can be written: this one did not fail."""
        if end.unwritable:
            raise StorageError(f"{end.reason}; {GO_ON % resume_argument(self._session.folder)}")
        if not retried:
            self._session.loop.ended(job, end)
            if end.state == "FAILED":  # a worker that died early leaves no `result.json`
                entry = next(entry for entry in self._session.record.entries if entry.number == job.number)
                entry.failed, entry.reason = True, end.reason
        self._display.ended(job, end, retried)
        self._session.write_sometimes()

    def tick(self) -> None:
        """Some time has passed."""
        self.count_time()
        self._session.loop.look()
        self._display.tick()
        self._session.write_sometimes()

    def count_time(self) -> None:
        """Count the seconds of this session."""
        session = self._session
        session.spending.seconds = session.spent_before + time.monotonic() - self._began
