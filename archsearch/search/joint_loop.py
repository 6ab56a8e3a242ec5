"""The loop of a process that shares its study with others: it trains its own trials and compares those of all.

What this process begins is decided under the study's lock, after reading what the others have reached; what its trials
have reached is told at once or, while the database is away, as soon as it is back.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from archsearch.runs.result import read_result
from archsearch.search.loop import SearchLoop, measured
from archsearch.search.postgres import is_away
from archsearch.search.proposals import Proposal
from archsearch.search.shared import Shared
from archsearch.search.stopping import Step
from archsearch.sweep.worker import AttemptEnd, Job, Team

log = logging.getLogger(__name__)

_ASK_AGAIN = 1.0  # seconds until an idle worker asks again
_LOOK_AGAIN = 5.0  # seconds between two looks at the study while all workers train
_PATIENCE = 5.0  # seconds for which nobody must train before the search has ended: one of them may be about to begin
_MEASURED = ("epoch", "val/accuracy", "val/loss")


@dataclass(kw_only=True)
class JointLoop(SearchLoop):
    """Works on a study with other processes, which are known by what they `shared`."""

    shared: Shared
    clock: Callable[[], float] = time.monotonic
    is_over: bool = False  # the search for all processes, or the time of this one
    _outbox: deque[Callable[[], object]] = field(default_factory=deque)  # what the study is to be told, in order
    _elsewhere: dict[int, int] = field(default_factory=dict)  # epochs of the steps that other processes are at
    _recorded: dict[int, int] = field(default_factory=dict)  # of others' trials, the last epoch that was compared
    _due: dict[Step, float] = field(default_factory=dict)  # steps of others' trials, and when they were named
    _last_trained: float = field(default_factory=time.monotonic)  # when somebody was seen training
    _ask_again: float = 0.0
    _look_again: float = 0.0
    _is_away: bool = False
    _is_leaving: bool = False  # before the others end the search

    def resume(self, proposals: Mapping[int, Proposal], failed: Set[int] = frozenset(), *, sends: bool = False) -> None:
        """Continue with the trials of this process, and with what all others know."""
        mine = {number: proposal for number, proposal in proposals.items() if proposal.process == self.shared.me}
        self._proposals.update(mine)
        self._read()  # first, because `resume` compares the trials of this process with them
        super().resume(mine, failed, sends=sends)
        due = {step.trial: step.until for step in self._steps}
        for number in mine:
            self._report(number, due.get(number), is_failed=number in self._failed)
        self._read()
        self._go_on()

    def next_team(self) -> Team | None:
        """What a free worker trains; nobody's, for now, while others train or the database is away."""
        if self.is_over:
            return None
        if self.clock() < self._ask_again:
            return ()
        team: Team | None = ()
        try:
            with self.proposer.lock:
                if self._flush():
                    self._read()
                    self._go_on()
                    team = self._next_team()
        except Exception as error:
            self._note_away(error)
        if team == ():
            self._ask_again = self.clock() + _ASK_AGAIN
        return team

    def ended(self, job: Job, end: AttemptEnd) -> None:
        """The last attempt at a step of a trial has ended. An interrupted one goes on in a later session."""
        if job.number in self._failed:  # the others have given it up meanwhile
            self._training.pop(job.number, None)
            self._count(job.number, (end.result or {}).get("epochs_trained", 0))
            self._count_begun()
            return
        super().ended(job, end)
        if end.state != "KILLED":
            self._report(job.number, is_failed=end.state == "FAILED")

    def look(self) -> None:
        """Send what is unsent and read what others have reached, if the database answers."""
        if self.clock() < self._look_again:
            return
        self._look_again = self.clock() + _LOOK_AGAIN
        try:
            if self._flush():
                self._read()
                self._go_on()
        except Exception as error:
            self._note_away(error)

    @contextmanager
    def closing(self) -> Iterator[bool]:
        """Train the finalists in this process if it has ended the search, or if the one that did is gone."""
        trains = False
        if self._is_leaving:
            log.info("The seconds of this process are used up; others go on with the search.")
        elif self.shared.trains_finalists(self.budget):
            trains = True
        else:
            where = self.shared.ender(self.budget)
            log.info("The finalists are those of %s, whose process has ended the search.", where)
        yield trains
        self.shared.leave(self.budget if trains else None)

    @property
    def budget(self) -> str:
        """The totals that all processes share, as a word."""
        return f"{self.spending.budget.trials} {self.spending.budget.epochs}"

    def _next_team(self) -> Team | None:
        self.is_over = self.shared.ended_by(self.budget) is not None
        if self.is_over:
            return None
        team = super().next_team()
        if team is not None:
            self._last_trained = self.clock()
            self._flush()
            return team
        if self.spending.is_out_of_time and not self._training and not self.shared.is_alone():
            self.is_over = self._is_leaving = True
            return None
        is_quiet = self.shared.is_alone() or self.clock() - self._last_trained > _PATIENCE
        if self._training or self._elsewhere or not is_quiet or self._is_due():
            return ()
        self.shared.end(self.budget)
        self.is_over = True
        return None

    def _read(self) -> None:
        self.shared.refresh()
        proposals, failed = self.proposer.proposals(), self.proposer.failed()
        running = {proposal.number for proposal in self.proposer.running()}
        if self._is_away:
            self._is_away = False
            log.info("the study's database is back")
        self._failed |= failed
        self._steps = deque(step for step in self._steps if step.trial not in failed)
        for number, proposal in proposals.items():
            if proposal.process != self.shared.me:
                self._proposals[number] = proposal
                self._read_other(proposal, is_running=number in running)
            elif number not in self._proposals:  # the database went away before it could confirm the proposal
                self._proposals[number] = proposal
                self.on_begun(proposal)
                self._steps.append(Step(number, self.stopping.rungs[0]))
        self.spending.trials = len(proposals)
        self._count_begun()
        if self._training or self._elsewhere:
            self._last_trained = self.clock()

    def _read_other(self, proposal: Proposal, *, is_running: bool) -> None:
        """Take in what a trial of another process has reached, or give it up if that process is gone."""
        number = proposal.number
        report = self.shared.reports.get(number, {})
        result = report.get("result") or {}
        trained, until = result.get("epochs_trained", 0), report.get("until")
        self._count(number, trained)
        self._elsewhere.pop(number, None)
        if result.get("state") == "FINISHED":
            self._finished[number] = measured(result, result["history"][-1])
        if report.get("failed"):
            self._failed.add(number)
        is_gone = self.shared.is_gone(proposal.process)
        if is_gone and is_running:
            log.warning("%d: given up, because nothing is heard of %s", number, self.shared.where(proposal.process))
            self._tell(number, result)
            if not result:
                self._failed.add(number)
        if number in self._failed or (is_gone and number not in self._finished):
            if self._recorded.pop(number, None) is not None:
                self.stopping.forget(number)
            return
        for epoch in (row["epoch"] for row in result.get("history", ())):
            if epoch in self.stopping.rungs and epoch > self._recorded.get(number, 0):
                self.stopping.record(number, epoch, self._standing(result, epoch))
                self._recorded[number] = epoch
        if not is_gone and (until is not None or is_running):
            self._elsewhere[number] = max(0, (until or self.stopping.rungs[0]) - trained)

    def _next_step(self, *, is_last: bool) -> Step | None:
        """A step of a trial of this process; those of others are theirs to begin."""
        while (step := super()._next_step(is_last=is_last)) is not None:
            if self._proposals[step.trial].process == self.shared.me:
                return step
            self._due[step] = self.clock()
            if is_last:
                return None
        return None

    def _is_last(self) -> bool:
        return not self._training and not self._elsewhere and not self._is_due()

    def _is_due(self) -> bool:
        """Whether another process may be about to train on; it may also have decided otherwise."""
        self._due = {
            step: named
            for step, named in self._due.items()
            if self._trained.get(step.trial, 0) < step.until
            and self.clock() - named < _PATIENCE
            and not self.shared.is_gone(self._proposals[step.trial].process)
        }
        return bool(self._due)

    def _busy(self) -> set[int]:
        return super()._busy() | set(self._elsewhere)

    def _count_begun(self) -> None:
        self.spending.begun_epochs = sum(self._training.values()) + sum(self._elsewhere.values())

    def _team(self, proposal: Proposal, until: int) -> Team:
        self._report(proposal.number, until=until)
        return super()._team(proposal, until)

    def _report(self, number: int, until: int | None = None, *, is_failed: bool = False) -> None:
        result = _shared_part(read_result(self.folder_of(number)) or {}, self.stopping.rungs)
        report = {"until": until, "result": result, "failed": is_failed}
        if report != self.shared.reports.get(number):
            self._send(lambda: self.shared.report(number, report))

    def _say(self, number: int, values: Mapping[str, float] | None) -> None:
        self._send(lambda: self._tell_once(number, values))

    def _tell_once(self, number: int, values: Mapping[str, float] | None) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        with suppress(UpdateFinishedTrialError):  # another process has just given it up
            super()._say(number, values)

    def _send(self, message: Callable[[], object]) -> None:
        self._outbox.append(message)
        if not self._is_away:
            self._flush()

    def _flush(self) -> bool:
        """Send what is unsent, in its order; returns whether all was sent. To send twice changes nothing."""
        while self._outbox:
            try:
                self._outbox[0]()
            except Exception as error:
                self._note_away(error)
                return False
            self._outbox.popleft()
        return True

    def _note_away(self, error: Exception) -> None:
        """Raise `error` unless it says that the database is away."""
        if not is_away(error):
            raise error
        self.shared.database.storage.reset()
        self._ask_again = self.clock() + _ASK_AGAIN
        if not self._is_away:
            self._is_away = True
            log.warning("WARNING: the study's database does not answer; training goes on, and the study is told later")


def _shared_part(result: Mapping[str, Any], rungs: Any) -> dict[str, Any] | None:
    """What the others need of a trial's `result.json`: its sizes, and the rungs that it has reached."""
    history = result.get("history")
    if not history:
        return None
    seconds = sum(row["seconds"] for row in history) / len(history)  # the mean, of which all rows have the same
    rows = [row for row in history if row["epoch"] in rungs or row is history[-1]]
    return {
        **{name: result[name] for name in ("state", "epochs_trained", "params", "macs")},
        "history": [{**{name: row[name] for name in _MEASURED}, "seconds": seconds} for row in rows],
    }
