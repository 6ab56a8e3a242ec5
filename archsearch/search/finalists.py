"""The finalists of a search: its front, trained again with fresh seeds. Only they read the test set.

They are a sweep of their own, in the folder `finalists` of the search, with its own run in MLflow; reports and verdicts
are those of any sweep.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from archsearch.config.settings import SweepRunSettings
from archsearch.data.load import resolve_dataset
from archsearch.errors import SweepError
from archsearch.runs.folder import FINALISTS, SWEEP, note_begun
from archsearch.runs.formatting import count
from archsearch.runs.prepare import prepare_in_sweep
from archsearch.search.engine import places, pool_of
from archsearch.search.planning import with_model
from archsearch.search.proposals import Proposal
from archsearch.search.setup import SearchPlan
from archsearch.sweep.closing import close_sweep
from archsearch.sweep.display import Display
from archsearch.sweep.estimate import estimate
from archsearch.sweep.job import SUBDIR, job_overrides
from archsearch.sweep.opening import open_parent
from archsearch.sweep.record import Entry, SweepRecord, is_finished
from archsearch.sweep.results import RunOutcome, outcomes_of
from archsearch.sweep.worker import Job
from archsearch.tracking.store import Store

log = logging.getLogger(__name__)

_FRESH = 1000  # added to the seed of the search's trials, so that no finalist repeats one


def train_finalists(
    planned: SearchPlan,
    search: SweepRecord,
    folder: Path,
    store: Store | None,
    master: DictConfig,
    proposals: Sequence[Proposal],
) -> list[RunOutcome]:
    """Train `proposals`, the best trials of the search in `folder`, with fresh seeds; returns the outcomes of the runs.

    Continues where it was interrupted. Raises `SweepError` if a run failed, and `KeyboardInterrupt`.
    """
    finalists = _Finalists(planned, search, folder / FINALISTS, store, master, proposals)
    return finalists.train()


class _Finalists:
    def __init__(
        self,
        planned: SearchPlan,
        search: SweepRecord,
        folder: Path,
        store: Store | None,
        master: DictConfig,
        proposals: Sequence[Proposal],
    ) -> None:
        self.planned, self.folder, self.store, self.master = planned, folder, store, master
        self.proposals = {str(proposal.number): proposal for proposal in proposals}
        first = planned.settings.seed + _FRESH
        self.seeds = range(first, first + planned.search.finalist_seeds)
        self.record = self._record(search)
        self._resolve = cache(resolve_dataset)

    def train(self) -> list[RunOutcome]:
        """Train the runs that are not trained yet, and close their sweep."""
        runs, seeds = count(len(self.proposals), "finalist"), count(len(self.seeds), "fresh seed")
        entries = [entry for entry in self.record.entries if not is_finished(self.folder / entry.folder)]
        trained = len(self.record.entries) - len(entries)
        log.info(
            "%s with %s: %s to train%s", runs, seeds, len(entries), f", {trained} already trained" if trained else ""
        )
        self.folder.mkdir(exist_ok=True)
        self.record.write(self.folder)
        note_begun(self.folder)
        OmegaConf.save(self.master, self.folder / "multirun.yaml")
        parent = open_parent(
            self.record,
            self.folder,
            self.store,
            self.planned.tracking,
            f"finalists of {self.folder.absolute().parent.name}",
        )
        interrupted: KeyboardInterrupt | None = None
        began = time.monotonic()
        try:
            if entries:
                self._train([self._job(entry) for entry in entries])
        except KeyboardInterrupt as interrupt:
            interrupted = interrupt
        self.record.seconds += time.monotonic() - began
        outcomes = outcomes_of(self.record, self.folder)
        unfinished = sum(outcome.is_unfinished for outcome in outcomes)
        self.record.state = "KILLED" if interrupted else "FAILED" if unfinished else "FINISHED"
        close_sweep(self.planned.ui, self.record, self.folder, outcomes, parent)
        if interrupted is not None:
            raise interrupted
        if unfinished:
            raise SweepError(f"{unfinished} of {count(len(outcomes), 'run')} of finalists did not finish")
        return outcomes

    def _record(self, search: SweepRecord) -> SweepRecord:
        """That of an earlier session if it has the same finalists, else a new one."""
        new = SweepRecord(search.overrides, f"{search.id}.{FINALISTS}", ["trial", "seed"], [])
        new.hydra, new.config_dir, new.precision = search.hydra, search.config_dir, search.precision
        pairs = [(number, seed) for number in self.proposals for seed in self.seeds]
        new.entries = [self._entry(position, *pair) for position, pair in enumerate(pairs)]
        if (self.folder / SWEEP).is_file():
            before = SweepRecord.read(self.folder)
            if [entry.values for entry in before.entries] == [entry.values for entry in new.entries]:
                return before
        return new

    def _entry(self, position: int, number: str, seed: int) -> Entry:
        proposal = self.proposals[number]
        values = {"trial": number, "seed": str(seed)}
        folder, overrides = f"{number}-{seed}", [*proposal.overrides, f"seed={seed}"]
        return Entry(
            position, folder, f"trial={number} seed={seed}", values, overrides, None, "READY",
            params=proposal.params, macs=proposal.macs,
        )  # fmt: skip

    def _job(self, entry: Entry) -> Job:
        folder, proposal = self.folder / entry.folder, self.proposals[entry.values["trial"]]
        sweep_run = SweepRunSettings(
            sweep=self.record.id, number=entry.number, name=entry.name, parent=self.record.tracking.get("run_id")
        )
        overrides = job_overrides(entry.overrides, entry.folder, sweep_run)
        words = [word for word in overrides if not word.startswith(SUBDIR)]
        request = self.planned.composer.request(words, entry.number)
        if proposal.model is not None:
            request = replace(request, config=with_model(request.config, proposal.model))
        return Job(entry.number, prepare_in_sweep(request, folder, self._resolve), folder)

    def _train(self, jobs: Sequence[Job]) -> None:
        workers = places(self.planned)
        names = {job.number: job.prepared.request.name for job in jobs}
        seconds = {
            job.number: estimate(job.prepared.settings, job.prepared.plan, job.prepared.data.info) for job in jobs
        }
        with Display(names, seconds, min(workers, len(jobs))) as display:
            pool_of(self.planned, self.planned.sweep, self.folder, self.master, display).run([(job,) for job in jobs])
