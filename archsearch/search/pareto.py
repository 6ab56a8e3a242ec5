"""Candidates in order of merit, with one objective or several, as arrays of losses (N, objectives) to be minimised."""

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]


def best_first(losses: Losses) -> list[int]:
    """Row numbers from best to worst: by front, within a front the most isolated first (Deb et al., NSGA-II, 2002)."""
    if losses.shape[1] == 1:
        return [int(index) for index in np.argsort(losses[:, 0], kind="stable")]
    ranked: list[int] = []
    for front in fronts(losses):
        isolated = np.argsort(-crowding(losses[front]), kind="stable")
        ranked += [int(index) for index in front[isolated]]
    return ranked


def fronts(losses: Losses) -> list[NDArray[np.intp]]:
    """Row numbers, front by front: no row is dominated by a row of its own front or of a later one.

    A row dominates another if it is nowhere larger, and somewhere smaller.
    """
    nowhere_larger = np.ones((len(losses), len(losses)), bool)
    smaller = np.zeros_like(nowhere_larger)
    for values in losses.T:  # one objective at a time, to keep the arrays small
        nowhere_larger &= values[:, None] <= values
        smaller |= values[:, None] < values
    dominates = nowhere_larger & smaller
    dominators: NDArray[Any] = dominates.sum(axis=0)
    remaining = np.ones(len(losses), bool)
    result = []
    while remaining.any():
        front = np.flatnonzero(remaining & (dominators == 0))
        result.append(front)
        remaining[front] = False
        dominators = dominators - dominates[front].sum(axis=0)
    return result


def crowding(losses: Losses) -> NDArray[np.float64]:
    """How isolated each row of a front is, between 0 and the number of objectives; infinite at an objective's ends."""
    distances = np.zeros(len(losses))
    for values in losses.T:
        order = np.argsort(values, kind="stable")
        distances[order[[0, -1]]] = inf
        width = values[order[-1]] - values[order[0]]
        if width > 0:
            distances[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / width
    return distances
