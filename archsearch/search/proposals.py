"""Asks a sampler for proposals and tells it what became of them, from what an Optuna study holds.

A proposal is a trial with the user attribute `proposal`, written in one step. A trial without it was refused (over the
budget, or proposed before), or its process died while asking; it counts for nothing. All random numbers depend only on
the seed and on the number of trials, so a search that was killed goes on as it would have.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from math import isnan
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from archsearch.errors import ResumeError
from archsearch.search.candidate import Candidate, Checked, Member, Model
from archsearch.search.checks import Check
from archsearch.search.draws import Draws
from archsearch.search.objectives import losses_of
from archsearch.search.samplers.simple import OWN_SAMPLERS
from archsearch.search.space import Space

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

State = Literal["COMPLETE", "PRUNED", "FAIL"]
_PROPOSAL, _SPACE = "proposal", "space"
_OVER_BUDGET = 20  # draws of Optuna's samplers for one proposal: over the budget,
_REPEATED = 3  # and repeated


@dataclass(frozen=True)
class Proposal:
    """A trial to train: its overrides and its model, in place of the composed blocks and head where blocks vary.

    `values` are those of the settings that vary, as a table shows them. `change` says how it differs from trial
    `parent`, if it comes from one. `replicate` is how often the same network was proposed before; it has another seed
    then, which is in `overrides`. `process` is the one that trains it, if several work on the study.
    """

    number: int
    overrides: tuple[str, ...]
    values: Mapping[str, str]
    model: Model | None
    identity: str
    params: int
    macs: int
    replicate: int = 0
    parent: int | None = None
    change: str = ""
    process: str = ""


class Proposer:
    """Proposes candidates of `space` to `study`.

    `lock` lets one process at a time propose, `check_lock` raises an error if it was lost; all of them may tell.
    `process` is the one that proposes. Raises `ResumeError` if the study searches another space.
    """

    def __init__(
        self,
        study: "optuna.Study",
        space: Space,
        check: Check,
        *,
        sampler: str,
        objectives: Sequence[str],
        seed: int = 1,
        duplicates: Literal["redraw", "reseed"] = "redraw",
        lock: AbstractContextManager[Any] | None = None,
        check_lock: Callable[[], object] = lambda: None,
        process: str = "",
    ) -> None:
        self.study, self.space, self.check = study, space, check
        self.sampler, self.objectives, self.seed, self.duplicates = sampler, tuple(objectives), seed, duplicates
        self.lock = nullcontext() if lock is None else lock
        self._check_lock, self.process = check_lock, process
        self._known: list[tuple[FrozenTrial, Member | None]] = []  # the trials that were read last, in their order
        self._count = 0  # of the study's trials, while one is proposed
        self._check_study()

    def propose(self) -> Proposal | None:
        """The next proposal, as a running trial. None if the space has no other network within the budget."""
        with self.lock:
            self._fail_unfinished()
            members = self.members()
            self._count = len(self._known)
            checked, trial = self._chosen(members)
            if checked is None:
                return None
            trial = trial or self._ask(checked.candidate)
            proposal = self._proposal(trial.number, checked, members)
            self._check_lock()
            trial.set_user_attr(_PROPOSAL, {**asdict(proposal), "params_of": dict(checked.candidate.params)})
            return proposal

    def tell(self, number: int, values: Mapping[str, float] | None, state: State = "COMPLETE") -> None:
        """Finish trial `number`. `values` by objective; None unless it is complete.

        A trial that has trained on is told again: its values are then the last ones. Failed trials stay failed.
        """
        from optuna.trial import TrialState

        from archsearch.search.storage import set_latest

        ordered = None if values is None else [values[name] for name in self.objectives]
        if ordered is not None and any(map(isnan, ordered)):
            ordered, state = None, "FAIL"
        told = self.study.tell(number, ordered, TrialState[state], skip_if_finished=True)
        if ordered is not None and told.state == TrialState.COMPLETE and told.values != ordered:
            set_latest(self.study, number, ordered)

    def running(self) -> list[Proposal]:
        """The proposals that are being trained, or were when their process died."""
        return [_read(trial)[0] for trial in self._running() if _PROPOSAL in trial.user_attrs]

    def failed(self) -> set[int]:
        """The numbers of the proposals whose training failed."""
        trials = self.study.get_trials(deepcopy=False)
        return {trial.number for trial in trials if trial.state.name == "FAIL" and _PROPOSAL in trial.user_attrs}

    def proposals(self) -> dict[int, Proposal]:
        """All proposals by number, in the order in which they were made."""
        trials = self.study.get_trials(deepcopy=False)
        return {trial.number: _read(trial)[0] for trial in trials if _PROPOSAL in trial.user_attrs}

    def members(self) -> list[Member]:
        """All proposals as samplers see them, in the order in which they were trained, those not yet trained last."""
        known: list[tuple[FrozenTrial, Member | None]] = []
        for index, trial in enumerate(self.study.get_trials(deepcopy=False)):
            is_known = index < len(self._known) and self._known[index][0] is trial and trial.state.is_finished()
            known.append(self._known[index] if is_known else (trial, self._member(trial)))
        self._known = known
        members = [(trial.datetime_complete, member) for trial, member in known if member is not None]
        members.sort(key=lambda pair: (pair[0] is None, pair[0]))  # stable, so equal ones stay in the order of numbers
        return [member for _, member in members]

    def _chosen(self, members: Sequence[Member]) -> "tuple[Checked | None, optuna.Trial | None]":
        """What to propose, and its trial if Optuna chose it."""
        random = self._random()
        seen = {member.identity for member in members} if self.duplicates == "redraw" else set()
        draws = Draws(self.space, self.check, seen, random, [member.candidate for member in members])
        start = None if members else self.space.start(random)
        if start is not None and (checked := self.check(start)).fits:
            return checked, None
        own = OWN_SAMPLERS.get(self.sampler)
        if own is not None:
            return own.propose(members, draws, random), None
        return self._from_optuna(draws)

    def _from_optuna(self, draws: Draws) -> "tuple[Checked | None, optuna.Trial | None]":
        """What Optuna's sampler proposes; if that is not within the budget or not new, something close to it."""
        over_budget = repeated = 0
        while True:
            trial = self._ask(None)
            checked = self.check(Candidate(trial.params))
            if checked.fits and checked.identity not in draws.seen:
                return checked, trial
            if checked.fits:
                repeated += 1
                self.tell(trial.number, None, "FAIL")  # samplers ignore failed trials
            else:
                over_budget += 1
                for name, excess in (checked.excess or {"cannot_be_trained": 1.0}).items():
                    trial.set_constraint(name, excess)
                self.tell(trial.number, None, "PRUNED")  # the one state from which TPE learns what does not fit
            if over_budget >= _OVER_BUDGET or repeated >= _REPEATED:
                last = Member(trial.number, checked.candidate, "", None)
                near = draws.mutated(last) or draws.drawn()
                return (None if near is None else replace(near, candidate=Candidate(near.candidate.params))), None

    def _ask(self, candidate: Candidate | None) -> "optuna.Trial":
        """A new trial with the values of `candidate`, or those that Optuna's sampler chooses."""
        from optuna.exceptions import ExperimentalWarning

        from archsearch.search.samplers.from_optuna import Given, sampler_by_name

        distributions = self.space.distributions()
        chooser: BaseSampler = sampler_by_name(self.sampler, self._random().getrandbits(31), distributions)
        if candidate is not None:
            chooser = Given(candidate.params, distributions, chooser)
        self.study.sampler = chooser
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            trial = self.study.ask(distributions)
        self._count += 1
        return trial

    def _fail_unfinished(self) -> None:
        """Fail the trials of processes that died while asking: nobody else asks as long as the lock is held."""
        for trial in self._running():
            if _PROPOSAL not in trial.user_attrs:
                self.tell(trial.number, None, "FAIL")

    def _running(self) -> "list[FrozenTrial]":
        from optuna.trial import TrialState

        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _random(self) -> Random:
        return Random(f"{self.seed}/{self._count}")

    def _proposal(self, number: int, checked: Checked, members: Sequence[Member]) -> Proposal:
        candidate = checked.candidate
        replicate = sum(member.identity == checked.identity for member in members)
        reseeded = (f"seed={checked.seed + replicate}",) if replicate else ()
        assert checked.identity is not None
        return Proposal(
            number,
            (*self.space.overrides(candidate), *reseeded),
            self.space.shown(candidate),
            candidate.model,
            checked.identity,
            checked.params,
            checked.macs,
            replicate,
            candidate.parent,
            candidate.change,
            self.process,
        )

    def _member(self, trial: "FrozenTrial") -> Member | None:
        if _PROPOSAL not in trial.user_attrs:
            return None
        proposal, params = _read(trial)
        is_trained = trial.state.name == "COMPLETE" and trial.values is not None
        losses = losses_of(self.objectives, trial.values) if is_trained else None
        candidate = Candidate(params, proposal.model, proposal.parent, proposal.change)
        return Member(trial.number, candidate, proposal.identity, losses, trial.state.name == "RUNNING")

    def _check_study(self) -> None:
        """Note in the study what it searches, or compare it with that."""
        architectures = self.space.architectures
        searched: dict[str, Any] = {
            "settings": {setting.name: repr(setting.domain) for setting in self.space.settings},
            "blocks": None if architectures is None else repr(architectures.limits),
            "objectives": list(self.objectives),
        }
        with self.lock:
            before = self.study.user_attrs.get(_SPACE)
            if before is None:
                self.study.set_user_attr(_SPACE, searched)
            elif before != searched:
                begun, now = (
                    {**study["settings"], "blocks": study["blocks"], "objectives": study["objectives"]}
                    for study in (before, searched)
                )
                different = ", ".join(name for name in {**begun, **now} if begun.get(name) != now.get(name))
                raise ResumeError(
                    f"resume: the search began with other values of {different}; restore them, or start anew"
                )


def searched_by(study: "optuna.Study") -> Mapping[str, Any]:
    """What a search that has begun searches: `settings`, `blocks` (None if they do not vary), `objectives`."""
    return dict(study.user_attrs[_SPACE])


def _read(trial: "FrozenTrial") -> tuple[Proposal, Mapping[str, Any]]:
    values = dict(trial.user_attrs[_PROPOSAL])
    params = values.pop("params_of")
    return Proposal(**{**values, "overrides": tuple(values["overrides"])}), params
