"""Candidates in order of merit, with one objective or several, as arrays of losses (N, objectives) to be minimised."""

from bisect import bisect_right
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]


def best_first(losses: Losses, most: int | None = None) -> list[int]:
    """Row numbers from best to worst: by front, within a front the most isolated first (Deb et al., NSGA-II, 2002).

    Only the best `most`, if given.
    """
    most = len(losses) if most is None else most
    if losses.shape[1] == 1:
        return [int(index) for index in np.argsort(losses[:, 0], kind="stable")[:most]]
    ranked: list[int] = []
    for front in fronts(losses):
        if len(ranked) >= most:
            break
        isolated = np.argsort(-crowding(losses[front]), kind="stable")
        ranked += [int(index) for index in front[isolated]]
    return ranked[:most]


def fronts(losses: Losses) -> list[NDArray[np.intp]]:
    """Row numbers, front by front: no row is dominated by a row of its own front or of a later one.

    A row dominates another if it is nowhere larger, and somewhere smaller.
    """
    if losses.shape[1] == 2:
        return _fronts_of_two(losses)
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


def _fronts_of_two(losses: Losses) -> list[NDArray[np.intp]]:
    """The same for two objectives: in order of the first one, a row is behind all fronts that are as low as it."""
    rows: list[list[int]] = []
    lowest: list[float] = []  # in the second objective, by front; ascending
    points, before, front = losses.tolist(), None, 0
    for row in np.lexsort((losses[:, 1], losses[:, 0])).tolist():
        if points[row] != before:  # equal rows are on the same front
            before = points[row]
            front = bisect_right(lowest, before[1])
            if front == len(rows):
                rows.append([])
                lowest.append(before[1])
            lowest[front] = before[1]
        rows[front].append(row)
    return [np.array(sorted(members), np.intp) for members in rows]


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
