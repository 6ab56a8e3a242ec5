"""The names of trials."""

from archsearch.compose.labels import describe
from archsearch.runs.formatting import count
from archsearch.search.proposals import Proposal


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
