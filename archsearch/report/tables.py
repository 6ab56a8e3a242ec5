"""The tables of a report, as cells that both the terminal and the HTML page show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan

import numpy as np

from archsearch.compose.labels import labels
from archsearch.report.ablation import Ablation, Effect
from archsearch.report.leaderboard import Leaderboard, LeaderboardRow
from archsearch.report.model_diff import BlockDiff, ModelDiff
from archsearch.report.numerals import format_p, points, with_margin
from archsearch.report.options import Cost
from archsearch.report.pareto import COSTS, REFERENCE, REFERENCE_ACCURACY, Point
from archsearch.report.prediction_diff import PredictionDiff
from archsearch.report.statistics import Difference, Estimate
from archsearch.report.study import Study

_SIZES = {"params": "parameters", "macs": "MACs", "receptive_field": "receptive field"}


@dataclass(frozen=True)
class Cell:
    """A text, its sort key if it is a number, whether it is emphasized, and the address that it leads to on a page."""

    text: str
    key: float | None = None
    strong: bool = False
    link: str | None = None


@dataclass(frozen=True)
class Table:
    """`columns` are the headings; a column is numeric if any of its cells has a key.

    On a narrow terminal, columns with the highest `optional` are left out first, and those in `folds` are wrapped.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    optional: Mapping[str, int] = field(default_factory=dict)
    folds: Sequence[str] = ()

    @cached_property
    def numeric(self) -> list[bool]:
        """Whether each column is numeric."""
        return [any(row[column].key is not None for row in self.rows) for column in range(len(self.columns))]


def leaderboard_table(board: Leaderboard, most: int | None = None) -> Table:
    """One row per variant, best first; at most `most` rows."""
    study = board.study
    standing = "place" if board.compared is None else "pair"
    columns = [
        "#", standing, "variant", study.judged_on, "95 % interval", f"vs. {board.role}", "verdict", "seeds",
        *([] if study.on_test else ["best", "test"]), "parameters", "MACs", "s per epoch",
    ]  # fmt: skip
    optional = [
        standing, "seeds", "verdict", f"vs. {board.role}", "test", "parameters", "best", "95 % interval",
        "s per epoch", "MACs",
    ]  # fmt: skip
    ranks = {column: rank for rank, column in enumerate(optional, 1)}
    return Table("Leaderboard", columns, [_row(row, board) for row in board.rows[:most]], ranks)


def _row(row: LeaderboardRow, board: Leaderboard) -> list[Cell]:
    variant, study = row.variant, board.study
    seeds = f"{len(variant.runs)}" + (f" ({variant.failed} failed)" if variant.failed else "")
    against = row.against
    if against is None:
        difference = [Cell("-"), Cell(board.role if variant is board.reference else "-")]
    else:
        is_significant = against.verdict in ("better", "worse")
        difference = [_difference(against.difference), Cell(against.verdict, strong=is_significant)]
    others = [] if study.on_test else [_percent(variant.mean("best")), _percent(row.test.value if row.test else None)]
    return [
        Cell(str(row.number), row.number),
        _standing(row, board),
        Cell(variant.label, strong=row.place == 1),
        _percent(row.score.value),
        Cell(interval_text(row.score)),
        *difference,
        Cell(seeds, len(variant.runs)),
        *others,
        _count(variant.mean("params")),
        _count(variant.mean("macs")),
        _number(variant.mean("epoch_seconds"), ".1f"),
    ]


def _standing(row: LeaderboardRow, board: Leaderboard) -> Cell:
    """The row's place; in a comparison of two, which of them it is."""
    if board.compared is not None:
        names = {board.compared.a: "A", board.compared.b: "B"}
        return Cell(names.get(row.variant.label, "-"), strong=row.variant.label in names)
    return Cell("-" if row.place is None else f"{row.place}{'=' if row.tied else ''}", row.place)


def pareto_table(points: Sequence[Point], study: Study, cost: Cost, only_front: bool) -> Table:
    """Accuracy against cost, cheapest first, followed by the reference network where it is comparable."""
    rows = [
        [
            Cell(point.variant.label, strong=point.on_front),
            _cost(point.cost, cost),
            _percent(point.score.value),
            Cell(interval_text(point.score)),
            _percent(point.test.value if point.test else None),
            Cell("yes" if point.on_front else "maybe" if point.maybe_on_front else "no"),
        ]
        for point in points
        if point.on_front or not only_front
    ]
    if has_reference(study, cost):
        rows.append(
            [
                Cell("reference (best test epoch)"),
                _cost(REFERENCE[cost], cost),
                Cell("-"),
                Cell("-"),
                _percent(REFERENCE_ACCURACY),
                Cell("-"),
            ]
        )
    columns = ["variant", COSTS[cost], study.judged_on, "95 % interval", "test", "Pareto-optimal"]
    return Table(f"Accuracy against {COSTS[cost]}", columns, rows, {"95 % interval": 2, "test": 1})


def has_reference(study: Study, cost: Cost) -> bool:
    """Whether the reference network is comparable with this study."""
    return study.variants[0].any.data == "mnist" and cost in REFERENCE


def effects_table(effect: Effect) -> Table:
    """The marginal means of a setting's values."""
    rows = []
    names = " with ".join(labels([effect.factor, *effect.confounded]))
    for level in effect.levels:
        cells = [Cell(level.value), _percent(level.mean)]
        if level.effect is None:
            cells += [Cell("-"), Cell("-")]
        else:
            cells += [_difference(level.effect), Cell(format_p(level.effect.p), level.effect.p)]
        rows.append(cells)
    columns = [labels([effect.factor])[0], "mean, %", f"vs. {effect.reference}, points", "p"]
    return Table(f"Effect of {names}, with seed and other settings held fixed ({effect.blocks} blocks)", columns, rows)


def importance_table(ablation: Ablation) -> Table:
    """The importance of each setting."""
    rows = [
        [
            Cell(labels([importance.factor])[0]),
            Cell(f"{importance.percent:.0f} +- {importance.sd:.0f}", importance.percent),
            Cell(ablation.is_important(importance)),
        ]
        for importance in ablation.importances
    ]
    return Table("Importance of settings", ["setting", "% of the variance (sd)", "important"], rows)


def blocks_table(diff: ModelDiff, only_changed: bool = False) -> Table:
    """Two architectures block by block, with totals."""
    rows = [_block_row(block) for block in diff.blocks if not only_changed or _differs(block)]
    totals = [_change(getattr(diff.a, name), getattr(diff.b, name)) for name in _SIZES]
    rows.append([Cell("total", strong=True), Cell(""), *totals, Cell("")])
    columns = ["block", "A -> B", *_SIZES.values(), "output"]
    return Table("Architecture", columns, rows, {"output": 3, "receptive field": 2, "MACs": 1}, ("A -> B",))


def _differs(block: BlockDiff) -> bool:
    return block.status != "same" or any(block.change(name) for name in ("params", "macs", "receptive_field"))


def _block_row(block: BlockDiff) -> list[Cell]:
    changes = [f"{name} {a} -> {b}" for name, a, b in block.changes]
    if block.status not in ("same", "changed"):
        changes.insert(0, block.status)
    cells = [Cell(block.name, strong=block.status != "same"), Cell("; ".join(changes))]
    for name in _SIZES:
        a, b = (getattr(side, name) if side is not None else None for side in (block.a, block.b))
        cells.append(_change(a, b))
    shapes = ["x".join(map(str, side.output)) if side is not None else "-" for side in (block.a, block.b)]
    return [*cells, Cell(shapes[0] if shapes[0] == shapes[1] else " -> ".join(shapes))]


def _change(a: int | None, b: int | None) -> Cell:
    change = (b or 0) - (a or 0)
    if a is None or b is None:
        return Cell(f"{change:+,}", change)
    return Cell(f"{a:,}" if not change else f"{a:,} -> {b:,} ({change:+,})", change)


def mcnemar_table(predictions: PredictionDiff) -> Table:
    """McNemar's exact test for each pair of networks."""
    rows = [
        [
            Cell(" and ".join(map(str, dict.fromkeys(test.seeds)))),
            Cell(str(test.only_a), test.only_a),
            Cell(str(test.only_b), test.only_b),
            Cell(format_p(test.p), test.p),
        ]
        for test in predictions.tests
    ]
    return Table("McNemar's test for each pair of networks", ["seed", "only A correct", "only B correct", "p"], rows)


def confusion_changes(predictions: PredictionDiff, classes: Sequence[str], most: int = 8) -> list[str]:
    """The mistakes whose number differs most between A and B, as sentences."""
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0.0, predictions.confusion)
    sentences = []
    for index in np.argsort(-np.abs(mistakes).ravel(), kind="stable")[:most]:
        true, guess = divmod(int(index), len(classes))
        number = mistakes[true, guess]
        if abs(number) >= 0.5:
            worse = "A" if number > 0 else "B"
            sentences.append(
                f"{worse} misclassifies {abs(number):.1f} more images of {classes[true]} as {classes[guess]}"
            )
    return sentences


def interval_text(estimate: Estimate) -> str:
    """`99.13 to 99.42`, or `-` without an interval."""
    return "-" if isnan(estimate.low) else f"{estimate.low:.2f} to {estimate.high:.2f}"


def _difference(difference: Difference) -> Cell:
    return Cell(with_margin(difference, points(difference.value, "+")), difference.value)


def _cost(value: float, cost: Cost) -> Cell:
    return _number(value, ".1f") if cost == "epoch_seconds" else _count(value)


def _percent(value: float | None) -> Cell:
    return _number(value, ".2f")


def _count(value: float | None) -> Cell:
    return _number(value, ",.0f")


def _number(value: float | None, style: str) -> Cell:
    return Cell("-", None) if value is None else Cell(format(value, style), value)
