"""All that a report has to say about a study, worked out once, for the terminal and for the page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ReportError, UserError
from archsearch.report import statistics
from archsearch.report.ablation import Ablation, ablate
from archsearch.report.leaderboard import Leaderboard, rank
from archsearch.report.model_diff import ModelDiff, model_diff
from archsearch.report.naming import find_variant
from archsearch.report.options import Options
from archsearch.report.pareto import Point, points_of
from archsearch.report.prediction_diff import PredictionDiff, prediction_diff, test_images
from archsearch.report.study import Study, Variant
from archsearch.report.verdict import Comparison, Verdict, compare

_MOST_TIES = 5  # sentences
_LARGE_FAMILY = 50  # comparisons


@dataclass(frozen=True)
class PairComparison:
    """Two variants, compared in every way. What is None could not be had; `notes` say why."""

    a: Variant
    b: Variant
    validation: Comparison
    test: statistics.Difference | None  # in points; an estimate, and no verdict: these networks were chosen
    architecture: ModelDiff | None
    predictions: PredictionDiff | None
    images: NDArray[np.uint8] | None  # of the test set (N, height, width)
    classes: Sequence[str]
    notes: Sequence[str]


@dataclass(frozen=True)
class Findings:
    """A study: its leaderboard, what accuracy costs in it, what its settings do, and one duel."""

    study: Study
    board: Leaderboard
    points: Sequence[Point]
    ablation: Ablation
    duel: PairComparison | None
    sentences: Sequence[str]
    notes: Sequence[str]


def find(study: Study, options: Options, data: Path) -> Findings:
    """Work out what `study` shows. `data` is the folder of the data sets. Raises `ReportError`."""
    baseline = find_variant(study, options.baseline, "baseline") if options.baseline is not None else None
    board = rank(study, baseline)
    duel = _duel(board, options, data)
    return Findings(
        study, board, points_of(board, options.cost), ablate(study, baseline), duel, _sentences(board), _notes(board)
    )


def _sentences(board: Leaderboard) -> list[str]:
    """The verdicts that a person would ask for first."""
    told = [(row.against, row.against.verdict) for row in board.rows if row.against is not None]
    lines = [comparison.sentence() for comparison, _ in told[:_MOST_TIES]]
    if len(told) > _MOST_TIES:
        counts = Counter(verdict for _, verdict in told)
        counted = ", ".join(f"{counts[kind]} {kind}" for kind in get_args(Verdict) if counts[kind])
        role = "the baseline" if board.is_baseline else "the leader"
        lines.insert(0, f"against {role}, {board.reference.label}: {counted.replace('unknown', 'cannot be judged')}")
        lines.append(f"and {len(told) - _MOST_TIES} more, in the table")
    return lines


def _notes(board: Leaderboard) -> list[str]:
    study, notes = board.study, []
    if study.on_test:
        notes.append("nothing was held out: variants are ranked on the TEST set, and the best of them is optimistic")
    if board.optimism is not None and board.optimism >= 0.01:
        notes.append(
            f"the leader is the best of {board.rivals} that cannot be told from it, on the images that it was chosen"
            f" on: were they all equal, it would seem {board.optimism:.2f} points better than it is"
        )
    if any(len(variant.trials) == 1 for variant in study.variants):
        single = sum(len(variant.trials) == 1 for variant in study.variants)
        notes.append(
            f"{single} of {len(study.variants)} variants have one seed: their interval is Wilson's, of one network on"
            " other images, and says nothing of other seeds"
        )
    if not board.is_baseline and study.pairs > _LARGE_FAMILY:
        notes.append(
            f"all {study.pairs:,} pairs are tested as one family, which takes many seeds; baseline=... tests"
            f" {len(study.variants) - 1} only"
        )
    if study.repeats:
        notes.append(f"{study.repeats} runs repeat another's configuration and seed, and count once (the latest)")
    failed = [variant.label for variant in study.variants if variant.failed]
    if failed:
        notes.append(f"seeds failed of {', '.join(failed[:5])}: what is left of a variant may be its lucky ones")
    return notes


def _duel(board: Leaderboard, options: Options, data: Path) -> PairComparison | None:
    study = board.study
    if options.compare:
        a, b = (find_variant(study, name, "compare") for name in options.compare)
    elif len(study.variants) > 1:
        leader = study.variants[0]
        a = leader
        b = board.reference if board.is_baseline and board.reference is not leader else study.variants[1]
    else:
        return None
    if a is b:
        raise ReportError(
            f"compare={','.join(options.compare)}: both are {a.label}; runs that differ in their seed only are not"
            " compared, because the better one of two seeds is luck"
        )
    notes: list[str] = []
    info = study.info
    architecture = predictions = images = None
    classes = info.classes if info is not None else ()
    if info is None:
        notes.append(f"the data set {a.any.data} is unknown here, so neither architectures nor images are compared")
    else:
        try:
            architecture = model_diff(a.any, b.any, info)
            if architecture is None:
                notes.append("a configuration could not be read, so the architectures are not compared")
            predictions = prediction_diff(a, b, len(info.classes))
        except UserError as error:  # an artifact that cannot be had, say: the rest of the report can
            notes.append(f"not compared image by image: {error}")
        else:
            images = test_images(info, data, a.any.fingerprint)
            if images is None:
                notes.append(
                    f"the images of these runs are not in {data}, so none is shown; data.root= says where they are"
                )
    test = None
    if not study.on_test and a.scores("test") and b.scores("test"):
        test = statistics.welch(list(a.scores("test").values()), list(b.scores("test").values()))
    validation = compare(a, b, study) if options.compare else _as_ranked(a, b, board)
    return PairComparison(a, b, validation, test, architecture, predictions, images, classes, notes)


def _as_ranked(a: Variant, b: Variant, board: Leaderboard) -> Comparison:
    """Two variants that nobody options for beforehand: judged as the leaderboard judges them, one pair among many."""
    row = next(row for row in board.rows if row.variant is (b if a is board.reference else a))
    assert row.against is not None
    return compare(a, b, board.study, row.against.family, row.against.planned, row.against.p)
