"""Everything a report shows about a study, computed once for the terminal and the HTML page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from archsearch.compose.labels import labels
from archsearch.errors import ReportError, UserError
from archsearch.report import statistics
from archsearch.report.ablation import Ablation, ablate
from archsearch.report.class_accuracy import class_accuracies
from archsearch.report.leaderboard import Leaderboard, rank
from archsearch.report.model_diff import ModelDiff, model_diff
from archsearch.report.naming import find_variant
from archsearch.report.numerals import p_equation
from archsearch.report.options import Options
from archsearch.report.pareto import Point, points_of
from archsearch.report.prediction_diff import PredictionDiff, confusion_of, prediction_diff, test_images
from archsearch.report.study import Study, Variant
from archsearch.report.verdict import Comparison, Verdict, compare
from archsearch.runs.formatting import count

_MOST_SENTENCES = 5
_MOST_NAMES = 5
_RELATIONS: dict[Verdict, str] = {
    "better": "is better",
    "worse": "is worse",
    "tied": "does not differ significantly",
    "trivial": "differs by too little to matter",
    "unknown": "cannot be compared yet",
}
_LARGE_FAMILY = 50  # comparisons


@dataclass(frozen=True)
class PairComparison:
    """A detailed comparison of two variants. Parts that are not available are None, with the reason in `notes`."""

    a: Variant
    b: Variant
    validation: Comparison
    test: statistics.Difference | None  # in points; an estimate without a verdict
    architecture: ModelDiff | None
    predictions: PredictionDiff | None
    images: NDArray[np.uint8] | None  # of the test set: (N, channels, height, width)
    classes: Sequence[str]
    notes: Sequence[str]


@dataclass(frozen=True)
class Findings:
    """The results for a study: leaderboard, accuracy against cost, effects of settings, and one pair in detail."""

    study: Study
    board: Leaderboard
    points: Sequence[Point]
    ablation: Ablation
    pair: PairComparison | None
    shown: Variant  # the leader, or A of a compared pair
    confusion: NDArray[np.float64] | None  # of that variant: (classes, classes)
    summary: str
    sentences: Sequence[str]
    notes: Sequence[str]

    @property
    def subject(self) -> str:
        """The variant that `confusion` is of, in a sentence."""
        return "the leader" if self.board.compared is None else "A"

    @property
    def class_accuracy(self) -> dict[str, float]:
        """The accuracy of that variant on each class of the test set, in percent; empty if it is unknown."""
        if self.confusion is None or self.study.info is None:
            return {}
        return class_accuracies(self.confusion, self.study.info.classes)


def analyze(study: Study, options: Options, data: Path) -> Findings:
    """Compute the findings for `study`; `data` is the folder of the data sets. Raises `ReportError`."""
    baseline = find_variant(study, options.baseline, "baseline") if options.baseline is not None else None
    compared = _compared(study, options) if options.compare else None
    board = rank(study, baseline, compared)
    pair = _pair(board, data)
    shown = pair.a if pair is not None else study.variants[0]
    confusion, problem = _confusion(shown, study, pair)
    reported = pair.notes if pair is not None else ()
    is_new = problem is not None and not any(problem in note for note in reported)
    return Findings(
        study,
        board,
        points_of(board, options.cost),
        ablate(study, baseline),
        pair,
        shown,
        confusion,
        _summary(board),
        _sentences(board),
        [*_notes(board), *([f"the mistakes of {shown.label} are not shown: {problem}"] if is_new else [])],
    )


def _confusion(
    variant: Variant, study: Study, pair: PairComparison | None
) -> tuple[NDArray[np.float64] | None, str | None]:
    """The confusion matrix of a variant (A, if there is a pair), or the reason why there is none."""
    if pair is not None and pair.predictions is not None:
        return pair.predictions.confusions[0], None
    if study.info is None:
        return None, None
    try:
        return confusion_of(variant, len(study.info.classes), study.info.test_images), None
    except UserError as error:
        return None, str(error)


def _summary(board: Leaderboard) -> str:
    """The result in one sentence: the pair's verdict, else who leads, and how many others are tied with it."""
    if board.compared is not None:
        return board.compared.sentence(in_order=True)
    row = board.rows[0]
    score = f"{row.score.value:.2f} %"
    interval = "" if isnan(row.score.low) else f" ({row.score.low:.2f} to {row.score.high:.2f})"
    lead = f"{row.variant.label} has the best {board.study.judged_on} accuracy, {score}{interval}"
    verdicts = Counter(row.against.verdict for row in board.rows if row.against is not None)
    if not verdicts:
        return lead
    if verdicts["unknown"] == verdicts.total():
        return f"{lead}; there are too few seeds to tell whether it is better"
    against = f"the baseline {board.reference.label}" if board.is_baseline else "it"
    if verdicts.total() == 1:
        (verdict,) = verdicts
        return f"{lead}; compared with {against}, the other variant {_RELATIONS[verdict]}"
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in get_args(Verdict) if verdicts[verdict])
    return f"{lead}; compared with {against}, the {count(verdicts.total(), 'other variant')}: {counts}"


def _sentences(board: Leaderboard) -> list[str]:
    """The main verdicts, as sentences."""
    if board.compared is not None:
        return [board.compared.sentence(in_order=True)]
    comparisons = [row.against for row in board.rows if row.against is not None]
    sentences = [comparison.sentence() for comparison in comparisons[:_MOST_SENTENCES]]
    if len(comparisons) > _MOST_SENTENCES:
        counts = Counter(comparison.verdict for comparison in comparisons)
        summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict])
        sentences.insert(0, f"Compared with the {board.role} ({board.reference.label}): {summary}")
        sentences.append(f"{count(len(comparisons) - _MOST_SENTENCES, 'more comparison')} in the table")
    return sentences


def _notes(board: Leaderboard) -> list[str]:
    study, notes = board.study, []
    if study.on_test:
        notes.append(
            "no images were held out, so variants are ranked on the TEST set and the leader's accuracy is optimistic"
        )
    if board.compared is None and board.optimism is not None and board.optimism >= 0.01:
        notes.append(f"{_tie(board)}; picking the best overstates its accuracy by about {board.optimism:.2f} points")
    if board.compared is not None and board.unplanned_p is not None:
        notes.append(
            f"the p-value holds for a pair that was chosen before the results were seen; as one of all {board.pairs:,}"
            f" pairs, it is {p_equation(board.unplanned_p)}"
        )
    single = sum(len(variant.runs) == 1 for variant in study.variants)
    if single:
        total = len(study.variants)
        some = f"{single} of {total} variants {'has' if single == 1 else 'have'} one seed"
        subject = some if single < total else "the variant has one seed" if total == 1 else "every variant has one seed"
        notes.append(f"{subject}: Wilson's interval covers other images, not other seeds")
    scores = {variant.label: list(variant.scores().values()) for variant in study.variants}
    equal = [f"{len(of)} of {label}" for label, of in scores.items() if len(of) > 1 and len(set(of)) == 1]
    if equal:
        some = ", ".join(equal[:_MOST_NAMES])
        notes.append(f"seeds gave the same accuracy ({some}): an interval of no width is chance, not certainty")
    if board.role == "leader" and study.pairs > _LARGE_FAMILY:
        notes.append(
            f"all {study.pairs:,} pairs are tested as one family, which requires many seeds; baseline=... tests only"
            f" {len(study.variants) - 1}"
        )
    for factor, others in study.confounded.items():
        if len(study.factors) == 1 and others:
            names = labels([factor, *others])
            notes.append(f"{names[0]} changes together with {', '.join(names[1:])}: their effects cannot be separated")
    if study.repeats:
        notes.append(f"{count(study.repeats, 'run')} left out: a later run has the same configuration and seed")
    failed = [variant.label for variant in study.variants if variant.failed]
    if failed:
        notes.append(f"some seeds failed ({', '.join(failed[:_MOST_NAMES])}): the remaining ones may be biased")
    return notes


def _tie(board: Leaderboard) -> str:
    """How many variants are tied with the leader."""
    others = board.contenders[1:]
    is_tested = not any(isnan(board.p[0, index]) for index in others)
    if is_tested:
        relation = "does not differ significantly" if len(others) == 1 else "do not differ significantly"
        return f"{count(len(others), 'variant')} {relation} from the leader"
    relation = "cannot be told from the leader with these seeds"
    return f"{count(len(others), 'variant')} {relation}"


def _compared(study: Study, options: Options) -> tuple[Variant, Variant]:
    """The two variants that `compare=` names, in this order."""
    a, b = (find_variant(study, name, "compare") for name in options.compare)
    if a is b:
        raise ReportError(
            f"compare: got {','.join(options.compare)}, must be two variants, but both are {a.label}; runs that differ"
            " only in their seed are not compared, because the better of two seeds is chance"
        )
    return a, b


def _pair(board: Leaderboard, data: Path) -> PairComparison | None:
    """The pair that was asked for, by default the leader and the baseline or the runner-up."""
    study = board.study
    if board.compared is not None:
        b = board.reference
        a = next(variant for variant in study.variants if variant.label == board.compared.a)
    elif len(study.variants) > 1:
        leader = study.variants[0]
        a = leader
        b = board.reference if board.is_baseline and board.reference is not leader else study.variants[1]
    else:
        return None
    notes: list[str] = []
    info = study.info
    architecture = predictions = images = None
    classes = info.classes if info is not None else ()
    if info is None:
        notes.append(f"architectures and images are not compared: archsearch has no data set {a.any.data}")
    else:
        try:
            architecture = model_diff(a.any, b.any, info)
            if architecture is None:
                notes.append("architectures are not compared: not both are from models with readable configurations")
            predictions = prediction_diff(a, b, len(info.classes), info.test_images)
        except UserError as error:  # e.g. an artifact that cannot be downloaded
            notes.append(f"predictions are not compared: {error}")
        else:
            images = test_images(info, data, a.any.fingerprint)
            if images is None:
                notes.append(f"no images are shown: {data} does not have those of these runs; set data.root=")
    test = None
    if not study.on_test and a.scores("test") and b.scores("test"):
        test = statistics.welch(list(a.scores("test").values()), list(b.scores("test").values()))
    validation = board.compared or _as_ranked(a, b, board)
    return PairComparison(a, b, validation, test, architecture, predictions, images, classes, notes)


def _as_ranked(a: Variant, b: Variant, board: Leaderboard) -> Comparison:
    """A pair that was chosen after seeing the results, with the p-value of the leaderboard's family."""
    row = next(row for row in board.rows if row.variant is (b if a is board.reference else a))
    assert row.against is not None
    return compare(a, b, board.study, row.against.family, row.against.planned, row.against.p)
