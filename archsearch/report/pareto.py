"""Accuracy against cost: which variants are Pareto-optimal."""

from dataclasses import dataclass

from archsearch.report import statistics
from archsearch.report.leaderboard import Leaderboard
from archsearch.report.options import Cost
from archsearch.report.study import Variant
from archsearch.report.verdict import ALPHA

# EVA6 "Architectural Basics", session 4: parameters and MACs of its network, and its best epoch's MNIST test accuracy.
REFERENCE = {"params": 12_954, "macs": 2_605_712}
REFERENCE_ACCURACY = 99.46

COSTS: dict[Cost, str] = {"params": "parameters", "macs": "MACs per image", "epoch_seconds": "seconds per epoch"}


@dataclass(frozen=True)
class Point:
    """A variant's cost and accuracy. `on_front`: no other variant's means are as good in both and better in one."""

    variant: Variant
    number: int  # of its row in the leaderboard
    cost: float
    score: statistics.Estimate
    test: statistics.Estimate | None
    on_front: bool
    maybe_on_front: bool  # dominated, but not by any variant that is significantly better


def points_of(board: Leaderboard, cost: Cost) -> list[Point]:
    """The variants with a known cost, cheapest first."""
    costs = [(index, row.variant.mean(cost)) for index, row in enumerate(board.rows)]
    known = sorted(((index, value) for index, value in costs if value is not None), key=lambda entry: entry[1])
    means = {index: board.rows[index].variant.mean() or 0.0 for index, _ in known}
    points = []
    for index, value in known:
        dominating = [
            other
            for other, price in known
            if price <= value and means[other] >= means[index] and (price < value or means[other] > means[index])
        ]
        maybe = bool(dominating) and not any(board.p[index, other] < ALPHA for other in dominating)
        row = board.rows[index]
        points.append(Point(row.variant, row.number, value, row.score, row.test, not dominating, maybe))
    return points
