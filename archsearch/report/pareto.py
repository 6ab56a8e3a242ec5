"""What accuracy costs: the variants that nothing is both cheaper and better than."""

from dataclasses import dataclass

from archsearch.report import statistics
from archsearch.report.leaderboard import Leaderboard
from archsearch.report.options import Cost
from archsearch.report.study import Variant
from archsearch.report.verdict import ALPHA

# EVA6 "Architectural Basics", session 4: its network's parameters and MACs, and its best epoch on MNIST's test set.
REFERENCE = {"params": 12_954, "macs": 2_605_712}
REFERENCE_ACCURACY = 99.46

COSTS: dict[Cost, str] = {"params": "parameters", "macs": "MACs for an image", "epoch_seconds": "seconds an epoch"}


@dataclass(frozen=True)
class Point:
    """A variant's cost and accuracy. `on_front`: no other is as good in both and better in one (by their means)."""

    variant: Variant
    cost: float
    score: statistics.Estimate
    test: statistics.Estimate | None
    on_front: bool
    maybe: bool  # not on the front, but none of those that keep it off is better beyond luck


def points_of(board: Leaderboard, cost: Cost) -> list[Point]:
    """The variants whose cost is known, the cheapest first."""
    known = [
        (at, row.variant, found) for at, row in enumerate(board.rows) if (found := row.variant.mean(cost)) is not None
    ]
    known.sort(key=lambda each: each[2])
    means = {at: variant.mean() or 0.0 for at, variant, _ in known}
    points = []
    for at, variant, spent in known:
        keeping_off = [
            other
            for other, _, price in known
            if price <= spent and means[other] >= means[at] and (price < spent or means[other] > means[at])
        ]
        maybe = bool(keeping_off) and not any(board.p[at, other] < ALPHA for other in keeping_off)
        row = board.rows[at]
        points.append(Point(variant, spent, row.score, row.test, not keeping_off, maybe))
    return points
