"""A report for the terminal."""

from math import isnan

from archsearch.report.findings import Findings, PairComparison
from archsearch.report.options import Cost
from archsearch.report.statistics import ENOUGH_PAIRS
from archsearch.report.tables import (
    Table,
    blocks_table,
    confusion_changes,
    effects_table,
    front_table,
    importance_table,
    leaderboard_table,
    mcnemar_table,
)
from archsearch.report.verdict import said_p
from archsearch.runs.formatting import aligned

_MOST_ROWS = 25
_MOST_POINTS = 12


def text(found: Findings, cost: Cost) -> str:
    """What `found` says, as lines."""
    board = found.board
    parts = [f"{headline(found)}\n", lines_of(leaderboard_table(board, _MOST_ROWS))]
    if len(board.rows) > _MOST_ROWS:
        parts.append(f"... and {len(board.rows) - _MOST_ROWS} more, in the page")
    parts.append("")
    parts += found.sentences
    parts += [f"note: {note}" for note in found.notes]
    if len(found.points) > 1:
        few = len(found.points) <= _MOST_POINTS
        parts.append(_titled(front_table(found.points, found.study, cost, whole=few)))
        if not few:
            more = sum(point.maybe for point in found.points)
            parts.append(f"{more} more are worse by their mean, but not beyond luck; the page has all")
    parts += [_titled(effects_table(effect)) for effect in found.ablation.effects]
    if found.ablation.importances:
        parts.append(_titled(importance_table(found.ablation)))
        parts.append(explained(found))
    if found.duel is not None:
        parts.append(_duel(found.duel))
    return "\n".join(parts)


def headline(found: Findings) -> str:
    """What was compared, in a line."""
    study = found.study
    runs = sum(len(variant.trials) for variant in study.variants)
    counts = sorted({len(variant.trials) for variant in study.variants})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    title = study.info.title if study.info is not None else study.variants[0].any.data
    held_out, test = study.images("validation"), study.images("test")
    images = "" if test is None else f", {held_out:,} held out" if held_out and not study.on_test else ""
    images += "" if test is None else f", {test:,} test images"
    return f"{title}{images}: {len(study.variants)} variants, {runs} runs, seeds a variant: {seeds}"


def explained(found: Findings) -> str:
    """How much of the variance the settings explain."""
    share = found.ablation.explained
    assert share is not None
    told = f"All settings together predict {max(0.0, share):.0f} % of the variance of runs that were left out"
    return f"{told}; the rest is luck, or more than a random forest learns from so few."


def test_sentence(duel: PairComparison) -> str | None:
    """How the difference came out on the test set."""
    if duel.test is None:
        return None
    half_width = "" if isnan(duel.test.half_width) else f" +- {duel.test.half_width:.2f}"
    return f"on the test set, measured and not chosen on: {duel.test.value:+.2f}{half_width} points"


def improvement_sentence(duel: PairComparison) -> str:
    """P(A > B) and what its rule says."""
    found = duel.validation.improvement
    said = f"P(A > B) = {found.value:.2f}"
    if isnan(found.low):
        return f"{said}, as far as single runs can tell"
    n = min(len(duel.a.trials), len(duel.b.trials))
    few = f"; from {n} seeds this rule is too quick, it is made for {ENOUGH_PAIRS}" if n < ENOUGH_PAIRS else ""
    conclusion = duel.validation.conclusion
    return f"{said} ({found.low:.2f} to {found.high:.2f}): {conclusion} by Bouthillier et al.'s rule{few}"


def paired_sentence(duel: PairComparison) -> str | None:
    """The difference over the seeds that both have."""
    paired = duel.validation.paired
    if paired is None or isnan(paired.low):
        return None
    return f"over pairs of a seed: {paired.value:+.2f} +- {paired.half_width:.2f} points ({said_p(paired.p)})"


def images_sentence(duel: PairComparison) -> str | None:
    """How far the difference on the test set depends on which images that has."""
    if duel.predictions is None or isnan(duel.predictions.over_images.low):
        return None
    found = duel.predictions.over_images
    return f"these networks, on other test images: {found.value:+.2f} +- {found.half_width:.2f} points"


def duel_sentences(duel: PairComparison) -> list[str]:
    """Everything that is said of two variants in words."""
    said = [
        duel.validation.sentence(),
        paired_sentence(duel),
        improvement_sentence(duel),
        test_sentence(duel),
        images_sentence(duel),
    ]
    return [line for line in said if line is not None]


def _duel(duel: PairComparison) -> str:
    parts = [f"\nA = {duel.a.label}, B = {duel.b.label}\n", *duel_sentences(duel)]
    if duel.architecture is not None:
        parts.append(_titled(blocks_table(duel.architecture, only_changed=True)))
        parts += [f"{name}: {a} -> {b}" for name, a, b in duel.architecture.other]
    if duel.predictions is not None:
        parts.append(_titled(mcnemar_table(duel.predictions)))
        parts += confusion_changes(duel.predictions, duel.classes, 4)
        for which in ("A", "B"):
            images = duel.predictions.only(which, 8)
            if images:
                parts.append(f"test images that {which} gets right more often: {', '.join(map(str, images))}")
    parts += [f"note: {note}" for note in duel.notes]
    return "\n".join(parts)


def _titled(table: Table) -> str:
    return f"\n{table.caption}\n{lines_of(table)}"


def lines_of(table: Table) -> str:
    """A table for a terminal."""
    rows = [[cell.text for cell in row] for row in table.rows]
    return "\n".join(aligned([list(table.columns), *rows]))
