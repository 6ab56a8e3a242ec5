"""A trial as `sweep.json` and tables list it: its name, its values, what it has reached."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from archsearch.compose.labels import describe
from archsearch.runs.formatting import count
from archsearch.search.proposals import Proposal
from archsearch.search.trials import Trial
from archsearch.sweep.record import Entry
from archsearch.sweep.results import RunOutcome


def name_of(proposal: Proposal) -> str:
    """A trial's name: the values of its settings, and how its architecture differs from its parent's."""
    parts = [describe(proposal.values)]
    if proposal.model is not None:
        parts.append(change_of(proposal))
    return " ".join(filter(None, parts))[:200]


def change_of(proposal: Proposal) -> str:
    """How the architecture of a trial differs from its parent's: `conv2 channels 16 to 8 (of 12)`."""
    if proposal.change and proposal.parent is not None:
        return f"{proposal.change} (of {proposal.parent})"
    assert proposal.model is not None
    blocks, head = proposal.model["blocks"], proposal.model["head"]
    return proposal.change or f"drawn: {count(len(blocks), 'block')}, head {head['type']}"


def entry_of(proposal: Proposal) -> Entry:
    """A trial in `sweep.json`."""
    values = {**proposal.values, **({} if proposal.model is None else {"change": change_of(proposal)})}
    number = proposal.number
    return Entry(
        number, str(number), name_of(proposal), values, list(proposal.overrides), proposal.identity, "READY",
        params=proposal.params, macs=proposal.macs,
    )  # fmt: skip


def trial_elsewhere(
    proposal: Proposal, objectives: Mapping[str, float], keys: Sequence[str], epochs: int, folder: Path
) -> Trial:
    """A fully trained trial of another process, whose folder is not here."""
    values, accuracy = entry_of(proposal).values, objectives.get("val/accuracy")
    outcome = RunOutcome(
        number=proposal.number, values={key: values.get(key, "-") for key in keys}, params=proposal.params,
        macs=proposal.macs, val_best=accuracy, val_final=accuracy, test=None, seconds=None, epochs=epochs,
        state="FINISHED", reason=None, run_id=None,
    )  # fmt: skip
    return Trial(outcome, name_of(proposal), folder, objectives, (), is_evaluated=False)
