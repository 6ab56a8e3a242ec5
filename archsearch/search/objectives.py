"""What a search optimises, and which of two trials is better."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from archsearch.search import pareto
from archsearch.search.candidate import Member

Direction: TypeAlias = Literal["maximize", "minimize"]

DIRECTIONS: Mapping[str, Direction] = {
    "val/accuracy": "maximize",
    "val/loss": "minimize",
    "params": "minimize",
    "macs": "minimize",
    "epoch_seconds": "minimize",
}
MEASURED = ("val/accuracy", "val/loss")
"""objectives that are measured on held-out images; a search has exactly one of them"""
BY_ARITHMETIC = ("params", "macs")
"""objectives that are known of a plan"""


def directions_of(objectives: Sequence[str]) -> list[Direction]:
    """`maximize` or `minimize` for each objective, for Optuna."""
    return [DIRECTIONS[name] for name in objectives]


def losses_of(objectives: Sequence[str], values: Sequence[float]) -> tuple[float, ...]:
    """`values` with the signs with which smaller is better."""
    signs = [1.0 if DIRECTIONS[name] == "minimize" else -1.0 for name in objectives]
    return tuple(sign * value for sign, value in zip(signs, values, strict=True))


def dominates(first: Member, second: Member) -> bool:
    """Whether `first` is better in one objective and no worse in the others. Of one objective: is it better?"""
    if first.losses is None or second.losses is None:
        return first.losses is not None
    pairs = list(zip(first.losses, second.losses, strict=True))
    return all(one <= other for one, other in pairs) and any(one < other for one, other in pairs)


def best_first(members: Sequence[Member]) -> list[Member]:
    """Trained members, the best first: with several objectives, in NSGA-II's order."""
    order = pareto.best_first(np.array([member.losses for member in members], float))
    return [members[row] for row in order]
