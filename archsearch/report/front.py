"""What accuracy costs: the variants that nothing is both cheaper and better than."""

from collections.abc import Sequence
from dataclasses import dataclass

from archsearch import stats
from archsearch.report.asked import Cost
from archsearch.report.leaderboard import interval, luck
from archsearch.report.study import Study, Variant
from archsearch.report.verdict import ALPHA

# EVA6 "Architectural Basics", session 4: its network's parameters and MACs, and its best epoch on MNIST's test set.
REFERENCE = {"params": 12_954, "macs": 2_605_712}
REFERENCE_ACCURACY = 99.46

COSTS: dict[Cost, str] = {"params": "parameters", "macs": "MACs for an image", "epoch_seconds": "seconds an epoch"}


@dataclass(frozen=True)
class Point:
    """A variant's cost and accuracy. `on_front`: no other is at most as costly and more accurate (by their means)."""

    variant: Variant
    cost: float
    score: stats.Estimate
    test: stats.Estimate | None
    on_front: bool
    maybe: bool  # not on the front, but none of those that keep it off is better beyond luck


def points_of(study: Study, cost: Cost) -> list[Point]:
    """The variants whose cost is known, the cheapest first."""
    p = luck(study)
    place = {variant.label: at for at, variant in enumerate(study.variants)}
    known = [(variant, found) for variant in study.variants if (found := variant.mean(cost)) is not None]
    known.sort(key=lambda each: (each[1], -(each[0].mean() or 0.0)))
    points = []
    ahead: list[Variant] = []  # on the front so far: cheaper, each more accurate than those before it
    for variant, spent in known:
        mean = variant.mean() or 0.0
        better = [each for each in ahead if (each.mean() or 0.0) >= mean]
        if not better:
            ahead.append(variant)
        test = interval(variant, "test", study) if variant.scores("test") else None
        beaten = [p[place[variant.label], place[each.label]] < ALPHA for each in better]
        maybe = bool(better) and not any(beaten)  # of single runs nobody can say
        points.append(Point(variant, spent, interval(variant, "selecting", study), test, not better, maybe))
    return points


def front(points: Sequence[Point]) -> list[Point]:
    """Those on the front, the cheapest first."""
    return [point for point in points if point.on_front]
