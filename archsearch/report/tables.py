"""What the terminal and the page both show, as tables of cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan

import numpy as np

from archsearch.compose.labels import labels
from archsearch.report.ablation import Ablation, Effect
from archsearch.report.leaderboard import Leaderboard, LeaderboardRow
from archsearch.report.model_diff import BlockDiff, ModelDiff
from archsearch.report.options import Cost
from archsearch.report.pareto import COSTS, REFERENCE, REFERENCE_ACCURACY, Point
from archsearch.report.prediction_diff import PredictionDiff
from archsearch.report.statistics import Estimate
from archsearch.report.study import Study
from archsearch.report.verdict import shown_p

_SIZES = {"params": "parameters", "macs": "MACs", "receptive_field": "receptive field"}


@dataclass(frozen=True)
class Cell:
    """What is shown, what it is sorted by where that is a number, and whether it is to stand out."""

    text: str
    key: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """`columns` are headings; a column of numbers is one whose cells have keys."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @cached_property
    def numeric(self) -> list[bool]:
        """By column, whether it holds numbers."""
        return [any(row[at].key is not None for row in self.rows) for at in range(len(self.columns))]


def leaderboard_table(board: Leaderboard, most: int | None = None) -> Table:
    """One row a variant, the best first; at most `most` of them."""
    study = board.study
    role = "the baseline" if board.is_baseline else "the leader"
    columns = [
        "#", "place", "variant", "seeds", study.judged_on, "95 % interval", f"to {role}", "verdict",
        *([] if study.on_test else ["of best epoch", "test"]), "parameters", "MACs", "epoch, s",
    ]  # fmt: skip
    return Table("Leaderboard", columns, [_row(row, board) for row in board.rows[:most]])


def _row(row: LeaderboardRow, board: Leaderboard) -> list[Cell]:
    variant, study = row.variant, board.study
    seeds = f"{len(variant.trials)}" + (f" ({variant.failed} failed)" if variant.failed else "")
    against = row.against
    if against is None:
        difference = [Cell("-"), Cell("baseline" if board.is_baseline else "leader")]
    else:
        half_width = against.difference.half_width
        shown = f"{against.difference.value:+.2f}" + ("" if isnan(half_width) else f" +- {half_width:.2f}")
        told = "?" if against.verdict == "unknown" else against.verdict
        difference = [Cell(shown, against.difference.value), Cell(told, strong=told in ("better", "worse"))]
    others = [] if study.on_test else [_percent(variant.mean("best")), _percent(row.test.value if row.test else None)]
    return [
        Cell(str(row.number), row.number),
        Cell("-" if row.place is None else f"{row.place}{'=' if row.tied else ''}", row.place),
        Cell(variant.label, strong=row.place == 1),
        Cell(seeds, len(variant.trials)),
        _percent(row.score.value),
        Cell(interval_text(row.score)),
        *difference,
        *others,
        _count(variant.mean("params")),
        _count(variant.mean("macs")),
        _number(variant.mean("epoch_seconds"), ".1f"),
    ]


def front_table(points: Sequence[Point], study: Study, cost: Cost, whole: bool) -> Table:
    """The front, the cheapest first, or the `whole` study; at its end, the reference."""
    shown = [point for point in points if whole or point.on_front]
    rows = [
        [
            Cell(point.variant.label, strong=point.on_front),
            _cost(point.cost, cost),
            _percent(point.score.value),
            Cell(interval_text(point.score)),
            _percent(point.test.value if point.test else None),
            Cell("yes" if point.on_front else "perhaps" if point.maybe else "no"),
        ]
        for point in shown
    ]
    if has_reference(study, cost):
        rows.append(
            [
                Cell("reference (EVA6, its best epoch on the test set)"),
                _cost(REFERENCE[cost], cost),
                Cell("-"),
                Cell("-"),
                _percent(REFERENCE_ACCURACY),
                Cell("-"),
            ]
        )
    columns = ["variant", COSTS[cost], study.judged_on, "95 % interval", "test", "on the front"]
    return Table(f"Accuracy against {COSTS[cost]}", columns, rows)


def has_reference(study: Study, cost: Cost) -> bool:
    """Whether the reference's point may stand beside this study's."""
    return study.variants[0].any.data == "mnist" and cost in REFERENCE


def effects_table(effect: Effect) -> Table:
    """A setting's marginal means."""
    rows = []
    names = " with ".join(labels([effect.factor, *effect.confounded]))
    for level in effect.levels:
        cells = [Cell(level.value), _percent(level.mean)]
        if level.effect is None:
            cells += [Cell("-"), Cell("-")]
        else:
            half_width = "" if isnan(level.effect.half_width) else f" +- {level.effect.half_width:.2f}"
            shown = shown_p(level.effect.p)
            cells += [Cell(f"{level.effect.value:+.2f}{half_width}", level.effect.value), Cell(shown, level.effect.p)]
        rows.append(cells)
    columns = [labels([effect.factor])[0], "mean, %", f"to {effect.reference}, points", "p"]
    return Table(f"Effect of {names}, over {effect.blocks} blocks of equal other settings and seed", columns, rows)


def importance_table(ablation: Ablation) -> Table:
    """Which settings matter."""
    rows = [
        [
            Cell(labels([each.factor])[0]),
            Cell(f"{each.percent:.0f} +- {each.sd:.0f}", each.percent),
            Cell("yes" if each.percent > 2 * each.sd and each.percent > 1 else "not seen"),
        ]
        for each in ablation.importances
    ]
    return Table("Importance of settings", ["setting", "% of variance lost when shuffled (sd)", "matters"], rows)


def blocks_table(found: ModelDiff, only_changed: bool = False) -> Table:
    """Two architectures, block by block."""
    rows = [_block_row(block) for block in found.blocks if not only_changed or _differs(block)]
    totals = [(found.a.params, found.b.params), (found.a.macs, found.b.macs)]
    totals.append((found.a.receptive_field, found.b.receptive_field))
    rows.append([Cell("all", strong=True), Cell(""), *(_change(*each) for each in totals), Cell("")])
    return Table("Architecture", ["block", "A -> B", *_SIZES.values(), "output"], rows)


def _differs(block: BlockDiff) -> bool:
    return block.status != "same" or any(block.change(name) for name in ("params", "macs", "receptive_field"))


def _block_row(block: BlockDiff) -> list[Cell]:
    said = "; ".join(f"{name} {a} -> {b}" for name, a, b in block.changes)
    if block.status not in ("same", "changed"):
        said = f"{block.status}; {said}" if said else block.status
    cells = [Cell(block.name, strong=block.status != "same"), Cell(said)]
    for name in _SIZES:
        of_a, of_b = (getattr(side, name) if side is not None else None for side in (block.a, block.b))
        cells.append(_change(of_a, of_b))
    shapes = ["x".join(map(str, side.output)) if side is not None else "-" for side in (block.a, block.b)]
    return [*cells, Cell(shapes[0] if shapes[0] == shapes[1] else " -> ".join(shapes))]


def _change(a: int | None, b: int | None) -> Cell:
    change = (b or 0) - (a or 0)
    if a is None or b is None:
        return Cell(f"{change:+,}", change)
    return Cell(f"{a:,}" if not change else f"{a:,} -> {b:,} ({change:+,})", change)


def mcnemar_table(found: PredictionDiff) -> Table:
    """The exact test for each pair of networks."""
    rows = [
        [
            Cell(str(each.seeds[0]) if each.seeds[0] == each.seeds[1] else f"{each.seeds[0]} and {each.seeds[1]}"),
            Cell(str(each.only_a), each.only_a),
            Cell(str(each.only_b), each.only_b),
            Cell(shown_p(each.p), each.p),
        ]
        for each in found.tests
    ]
    return Table("McNemar's test of each pair of networks", ["seed", "only A right", "only B right", "p"], rows)


def confusion_changes(found: PredictionDiff, classes: Sequence[str], most: int = 8) -> list[str]:
    """The mistakes whose number differs most between A and B, in words."""
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0.0, found.confusion)
    order = sorted(
        ((abs(value), at) for at, value in enumerate(mistakes.ravel())), key=lambda each: (-each[0], each[1])
    )
    lines = []
    for size, at in order[:most]:
        true, guess = divmod(at, len(classes))
        if size >= 0.5:
            more = "A" if mistakes[true, guess] > 0 else "B"
            lines.append(f"{more} takes {size:.1f} more images of {classes[true]} for {classes[guess]}")
    return lines


def interval_text(estimate: Estimate) -> str:
    """`99.13 to 99.42`, or `-` where there is none."""
    return "-" if isnan(estimate.low) else f"{estimate.low:.2f} to {estimate.high:.2f}"


def _cost(value: float, cost: Cost) -> Cell:
    return _number(value, ".1f") if cost == "epoch_seconds" else _count(value)


def _percent(value: float | None) -> Cell:
    return _number(value, ".2f")


def _count(value: float | None) -> Cell:
    return _number(value, ",.0f")


def _number(value: float | None, style: str) -> Cell:
    return Cell("-", None) if value is None else Cell(format(value, style), value)
