"""The report for the terminal, and the sentences that it shares with the HTML page."""

import textwrap
from collections.abc import Sequence
from math import isnan

from archsearch.report.class_accuracy import class_sentence
from archsearch.report.findings import Findings, PairComparison
from archsearch.report.numerals import points, with_margin
from archsearch.report.options import Cost
from archsearch.report.statistics import Estimate
from archsearch.report.tables import (
    Table,
    blocks_table,
    confusion_changes,
    effects_table,
    importance_table,
    leaderboard_table,
    mcnemar_table,
    pareto_table,
)
from archsearch.report.verdict import Verdict
from archsearch.runs.formatting import count
from archsearch.system.terminal import Column, TextTable

_MOST_ROWS = 25
_MOST_POINTS = 12
_STYLES = {"better": "green", "worse": "red", "leader": "bold", "baseline": "bold"}  # of cells, by their first word
_CONCLUSIONS: dict[Verdict, str] = {
    "better": "significant and meaningful",
    "worse": "significant and meaningful",
    "trivial": "not meaningful",
    "tied": "not significant",
}


def text(findings: Findings, cost: Cost, width: int | None = None) -> str:
    """The findings for a terminal with `width` columns; plain, and as wide as they are, if it is None."""
    parts = _parts(findings, cost)
    return "\n".join(wrapped(part, width) if isinstance(part, str) else table_text(part, width) for part in parts)


def wrapped(sentence: str, width: int | None) -> str:
    """`sentence` in lines of at most `width` characters, broken between words."""
    if width is None or len(sentence) <= width:
        return sentence
    return textwrap.fill(sentence, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _parts(findings: Findings, cost: Cost) -> list[str | Table]:
    """Lines and tables, in order."""
    board = findings.board
    parts: list[str | Table] = [headline(findings), "", leaderboard_table(board, _MOST_ROWS)]
    if len(board.rows) > _MOST_ROWS:
        parts.append(f"... {count(len(board.rows) - _MOST_ROWS, 'more variant')} in the HTML page")
    parts.append("")
    parts += findings.sentences
    parts += [f"note: {note}" for note in findings.notes]
    if len(findings.points) > 1:
        only_front = len(findings.points) > _MOST_POINTS
        parts += _captioned(pareto_table(findings.points, findings.study, cost, only_front))
        if only_front:
            candidates = sum(point.maybe_on_front for point in findings.points)
            parts.append(f"{count(candidates, 'more variant')} may be Pareto-optimal; the HTML page lists all of them")
    for effect in findings.ablation.effects:
        parts += _captioned(effects_table(effect))
    if findings.ablation.importances:
        parts += _captioned(importance_table(findings.ablation))
        parts.append(explained(findings))
    if findings.confusion is not None and findings.study.info is not None:
        parts += ["", class_sentence(findings.subject, findings.confusion, findings.study.info.classes)]
    if findings.pair is not None:
        parts += _pair_parts(findings.pair, findings.sentences)
    return parts


def headline(findings: Findings) -> str:
    """The data and the number of runs, variants and seeds, in one line."""
    study = findings.study
    seeds = sorted({len(variant.runs) for variant in study.variants})
    replicates = f"{count(seeds[0], 'seed')} each" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds each"
    runs = count(sum(len(variant.runs) for variant in study.variants), "run")
    held_out, test = study.images("validation"), study.images("test")
    images = "" if test is None else f", {held_out:,} held out" if held_out and not study.on_test else ""
    images += "" if test is None else f", {test:,} test images"
    return f"{study.title}{images}: {runs} of {count(len(study.variants), 'variant')}, {replicates}"


def explained(findings: Findings) -> str:
    """How much of the variance the settings explain."""
    share = findings.ablation.explained
    assert share is not None
    return (
        f"Together the settings explain {max(0.0, share):.0f} % of the variance of held-out runs; the rest is noise"
        " between seeds, or needs more runs to detect."
    )


def test_sentence(pair: PairComparison) -> str | None:
    """The difference on the test set."""
    if pair.test is None:
        return None
    return f"On the test set, which was not used for selection: {_signed(pair.test)}"


def improvement_sentence(pair: PairComparison) -> str | None:
    """P(A > B) with its interval; None for fewer than 10 pairs.

    The rule of Bouthillier et al. is no second verdict: it is named only where it supports the report's own.
    """
    comparison = pair.validation
    improvement = comparison.improvement
    if improvement is None:
        return None
    conclusion = comparison.conclusion
    agrees = conclusion == _CONCLUSIONS.get(comparison.verdict)
    rule = f"; the difference is {conclusion} by the rule of Bouthillier et al., too" if agrees else ""
    interval = f"{improvement.low:.2f} to {improvement.high:.2f}"
    all_of_them = comparison.combinations
    runs = f"{comparison.pairs} pairs" if all_of_them is None else f"{all_of_them:,} combinations"
    return f"P(A > B) = {improvement.value:.2f} ({interval}), over {runs} of runs{rule}"


def paired_sentence(pair: PairComparison) -> str | None:
    """The difference over the seeds that both have."""
    paired = pair.validation.paired
    if paired is None or isnan(paired.low):
        return None
    return f"Paired by seed: {_signed(paired)}"


def images_sentence(pair: PairComparison) -> str | None:
    """The difference of these networks on the test set, with its interval over images."""
    if pair.predictions is None or isnan(pair.predictions.over_images.low):
        return None
    difference = pair.predictions.over_images
    return f"The same networks on other test images: {_signed(difference)}"


def _signed(difference: Estimate) -> str:
    return f"{with_margin(difference, points(difference.value, '+'))} points"


def pair_sentences(pair: PairComparison) -> list[str]:
    """The comparison of two variants, as sentences."""
    sentences = [
        pair.validation.sentence(in_order=True),
        paired_sentence(pair),
        improvement_sentence(pair),
        test_sentence(pair),
        images_sentence(pair),
    ]
    return [sentence for sentence in sentences if sentence is not None]


def _pair_parts(pair: PairComparison, shown: Sequence[str]) -> list[str | Table]:
    """The pair in detail, without the sentences that are `shown` already."""
    parts: list[str | Table] = ["", f"A = {pair.a.label}, B = {pair.b.label}", ""]
    parts += [sentence for sentence in pair_sentences(pair) if sentence not in shown]
    if pair.architecture is not None:
        parts += _captioned(blocks_table(pair.architecture, only_changed=True))
        parts += [f"{name}: {a} -> {b}" for name, a, b in pair.architecture.other]
    if pair.predictions is not None:
        parts += _captioned(mcnemar_table(pair.predictions))
        parts += confusion_changes(pair.predictions, pair.classes, 4)
        for name in ("A", "B"):
            images = pair.predictions.only(name, 8)
            if images:
                parts.append(f"Test images that {name} classifies correctly more often: {', '.join(map(str, images))}")
    return [*parts, *(f"note: {note}" for note in pair.notes)]


def _captioned(table: Table) -> list[str | Table]:
    return ["", table.caption, table]


def table_text(table: Table, width: int | None = None) -> str:
    """A table for a terminal with `width` columns; the names of variants are neither cut nor folded."""
    columns = [
        Column(name, not is_number, table.optional.get(name, 0), name in table.folds)
        for name, is_number in zip(table.columns, table.numeric, strict=True)
    ]
    rows = [[cell.text for cell in row] for row in table.rows]
    shown = TextTable(columns, rows, _STYLES)
    if width is None:
        return str(shown)
    from rich.console import Console

    least = [
        max(len(cell) for cell in (column.heading, *(row[index] for row in rows)))
        for index, column in enumerate(columns)
        if not column.optional and not column.folds
    ]
    return shown.fitted(max(width, sum(least) + 2 * len(least)), Console(width=width))
