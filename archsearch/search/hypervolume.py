"""The hypervolume of a front: how much of the space of losses it dominates, up to a reference point."""

import numpy as np

from archsearch.search.pareto import Losses


def hypervolume(losses: Losses, reference: Losses) -> float:
    """The volume that rows of `losses` (N, objectives) dominate below `reference` (objectives); 0 of no rows.

    By slices along the last objective, which suits the few dozen rows of a front.
    """
    losses = np.unique(losses[(losses < reference).all(axis=1)], axis=0)
    if len(losses) == 0:
        return 0.0
    if losses.shape[1] == 1:
        return float(reference[0] - losses[:, 0].min())
    if losses.shape[1] == 2:  # in order of the first objective, each row adds a rectangle if it is the lowest so far
        lowest = np.minimum.accumulate(losses[:, 1])
        above = np.concatenate([reference[1:], lowest[:-1]])
        return float(((reference[0] - losses[:, 0]) * (above - lowest)).sum())
    losses = losses[np.argsort(losses[:, -1], kind="stable")]
    ends = np.append(losses[1:, -1], reference[-1])
    volumes = (hypervolume(losses[: row + 1, :-1], reference[:-1]) for row in range(len(losses)))
    return sum(float(end - begin) * volume for begin, end, volume in zip(losses[:, -1], ends, volumes, strict=True))


def covering(losses: Losses, limit: int) -> list[int]:
    """At most `limit` rows of a front: the best in the first objective, then, each time, the one that adds most volume.

    The greedy subset of Guerreiro, Fonseca and Paquete (Evolutionary Computation 24(3), 2016), below the worst values
    of the front, so that rows which are hardly better than others in any objective come last.
    """
    if len(losses) == 0:
        return []
    reference = losses.max(axis=0)
    chosen = [int(np.argmin(losses[:, 0]))]
    while len(chosen) < min(limit, len(losses)):
        rest = [row for row in np.argsort(losses[:, 0], kind="stable") if row not in chosen]
        chosen.append(int(max(rest, key=lambda row: hypervolume(losses[[*chosen, row]], reference))))
    return chosen[:limit]
