"""The effect of each setting with the others held fixed, and the importance of settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from archsearch.report import statistics
from archsearch.report.study import Study, Variant

_TREES = 30
_SHUFFLES = 10  # of a setting in each fold
_FOLDS = 5
_MOST_VALUES = 20  # rows of an effect's table


@dataclass(frozen=True)
class Level:
    """A value of a setting: its mean over the blocks, and the paired difference to the reference value."""

    value: str
    mean: float
    effect: statistics.Difference | None  # None for the reference value


@dataclass(frozen=True)
class Effect:
    """The effect of one setting, in percent and points.

    A block is the set of runs with the same seed and other settings. Only complete blocks count, in which every value
    was tried. The effect cannot be separated from that of the `confounded` settings. p-values are those of paired
    t-tests, adjusted (Holm) for all effects of the study.
    """

    factor: str
    confounded: Sequence[str]
    reference: str  # the value that others are compared with
    levels: Sequence[Level]
    blocks: int
    left_out: int  # runs in incomplete blocks


@dataclass(frozen=True)
class Importance:
    """The share of the variance between runs that involves a setting, in percent: 0 to 100."""

    factor: str
    percent: float
    sd: float  # over folds


@dataclass(frozen=True)
class Ablation:
    """The effects of a study's settings. `explained` is the percentage of held-out runs' variance that they predict."""

    effects: Sequence[Effect]
    importances: Sequence[Importance]
    explained: float | None


def ablate(study: Study, baseline: Variant | None = None) -> Ablation:
    """The effect and importance of each setting in which the variants of `study` differ.

    Effects are relative to the values of `baseline`; without one, to the smallest number or the word that was trained
    first. The best value would be a biased reference, because it is partly best by chance.
    """
    rows = [(variant.values, seed, score) for variant in study.variants for seed, score in variant.scores().items()]
    effects = []
    for factor in study.factors:
        reference = baseline.values[factor] if baseline is not None else study.values[factor][0]
        effect = _effect(factor, study, rows, reference)
        if effect is not None:
            effects.append(effect)
    return Ablation(_adjusted(effects), *_importances(study, rows))


_Row = tuple[Mapping[str, str], int, float]


def _effect(factor: str, study: Study, rows: Sequence[_Row], reference: str) -> Effect | None:
    """Marginal means over complete blocks; None for fewer than two such blocks or more than 20 values."""
    values = study.values[factor]
    if len(values) > _MOST_VALUES:
        return None
    blocks: dict[tuple[object, ...], dict[str, float]] = {}
    for settings, seed, score in rows:
        others = tuple(value for name, value in settings.items() if name != factor)
        blocks.setdefault((*others, seed), {})[settings[factor]] = score
    complete = [block for block in blocks.values() if len(block) == len(values)]
    if len(complete) < 2:
        return None
    scores = {value: [block[value] for block in complete] for value in values}
    levels = [
        Level(
            value,
            float(np.mean(scores[value])),
            statistics.paired(scores[value], scores[reference]) if value != reference else None,
        )
        for value in values
    ]
    left_out = len(rows) - len(complete) * len(values)
    return Effect(factor, study.confounded.get(factor, ()), reference, levels, len(complete), left_out)


def _adjusted(effects: Sequence[Effect]) -> list[Effect]:
    """The effects with their p-values adjusted as one family."""
    adjusted = iter(
        statistics.holm([level.effect.p for effect in effects for level in effect.levels if level.effect is not None])
    )
    return [
        replace(
            effect,
            levels=[
                level if level.effect is None else replace(level, effect=replace(level.effect, p=next(adjusted)))
                for level in effect.levels
            ],
        )
        for effect in effects
    ]


def _importances(study: Study, rows: Sequence[_Row]) -> tuple[list[Importance], float | None]:
    """Permutation importance (Breiman, "Random Forests", 2001) on held-out runs.

    The forest predicts accuracy from the settings; extremely randomized trees (Geurts, 2006) do not shrink small
    effects as bootstrap samples do. With several seeds, the folds are seeds, so that a setting without effect has an
    importance of about 0. The increase of the squared error is halved, which makes it the total effect of Sobol's
    method (Jansen, 1999) rather than up to twice the variance. Returns nothing for a single setting, or too few
    runs for cross-validation.
    """
    factors = study.factors
    seeds = np.array([seed for _, seed, _ in rows])
    several = len(np.unique(seeds)) > 1
    folds = min(_FOLDS, len(np.unique(seeds)) if several else len(rows))
    scores = np.array([score for _, _, score in rows])
    if len(factors) < 2 or len(rows) < 6 or folds < 2 or not np.ptp(scores):
        return [], None
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import GroupKFold, KFold

    codes = _encoded(study, rows)
    splitter = GroupKFold(folds) if several else KFold(folds, shuffle=True, random_state=0)
    variance = float(np.var(scores))
    drops: list[NDArray[np.float64]] = []
    squares: list[NDArray[np.float64]] = []
    for fold, (train, test) in enumerate(splitter.split(codes, scores, seeds if several else None)):
        cells, cell, counts = np.unique(codes[train], axis=0, return_inverse=True, return_counts=True)
        means = np.bincount(cell.ravel(), scores[train]) / counts  # over seeds: equivalent, with fewer rows
        forest = ExtraTreesRegressor(_TREES, random_state=0).fit(cells, means, sample_weight=counts)
        squares.append((forest.predict(codes[test]) - scores[test]) ** 2)
        permuted = permutation_importance(
            forest,
            codes[test],
            scores[test],
            scoring="neg_mean_squared_error",
            n_repeats=_SHUFFLES,
            random_state=fold,  # equal shuffles in every fold would not average out
        )
        drops.append(permuted.importances_mean)
    # Shuffling a setting that explains everything doubles the variance: the error is that of two independent draws.
    percent = np.stack(drops, axis=1) / (2 * variance) * 100  # (factors, folds)
    importances = [
        Importance(factor, min(100.0, max(0.0, float(values.mean()))), float(values.std(ddof=1)))
        for factor, values in zip(factors, percent, strict=True)
    ]
    explained = 100 * (1 - float(np.mean(np.concatenate(squares))) / variance)
    return sorted(importances, key=lambda importance: -importance.percent), explained


def _encoded(study: Study, rows: Sequence[_Row]) -> NDArray[np.float64]:
    """Settings as ordinal codes, the positions of their values: (runs, factors)."""
    columns = []
    for factor in study.factors:
        positions = {value: position for position, value in enumerate(study.values[factor])}
        columns.append([positions[settings[factor]] for settings, _, _ in rows])
    return np.array(columns, float).T
