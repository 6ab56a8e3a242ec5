"""What each setting does with the others held fixed, and which settings matter at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from archsearch.report import statistics
from archsearch.report.study import Study, Variant

_TREES = 30
_SHUFFLES = 3
_FOLDS = 5
_MOST_VALUES = 20  # of a setting in a table


@dataclass(frozen=True)
class Level:
    """A value of a setting. `mean` is over the blocks; `effect` is the difference to the reference value there."""

    value: str
    mean: float
    effect: statistics.Difference | None  # None of the reference value


@dataclass(frozen=True)
class Effect:
    """One setting, in percent and points.

    A block is all other settings and the seed held fixed; those in which every value was tried are counted, so that
    each value is seen under the same circumstances. Settings `confounded` with this one share its effect.
    `p` is that of the paired t-test, adjusted (Holm) for all effects of the study.
    """

    factor: str
    confounded: Sequence[str]
    reference: str  # a value
    levels: Sequence[Level]
    blocks: int
    left_out: int  # runs outside of such blocks


@dataclass(frozen=True)
class Importance:
    """How much of the variance between runs is no longer predicted, in percent, once a setting is shuffled."""

    factor: str
    percent: float
    sd: float  # over shufflings and folds


@dataclass(frozen=True)
class Ablation:
    """The effects of a study's settings. `explained` is the share of unseen runs' variance they predict, in percent."""

    effects: Sequence[Effect]
    importances: Sequence[Importance]
    explained: float | None


def ablate(study: Study, baseline: Variant | None = None) -> Ablation:
    """The effect and importance of each setting in which the variants of `study` differ.

    Effects are against the values of `baseline`; without one, against the smallest number, or the word that was trained
    first: not the best one, which would be luck in part.
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
    """Marginal means over complete blocks; None where there are fewer than two such blocks, or very many values."""
    values = study.values[factor]
    if len(values) > _MOST_VALUES:
        return None
    blocks: dict[tuple[object, ...], dict[str, float]] = {}
    for settings, seed, score in rows:
        held = tuple(value for name, value in settings.items() if name != factor)
        blocks.setdefault((*held, seed), {})[settings[factor]] = score
    whole = [block for block in blocks.values() if len(block) == len(values)]
    if len(whole) < 2:
        return None
    scores = {value: [block[value] for block in whole] for value in values}
    levels = [
        Level(
            value,
            float(np.mean(scores[value])),
            statistics.paired(scores[value], scores[reference]) if value != reference else None,
        )
        for value in values
    ]
    left_out = len(rows) - len(whole) * len(values)
    return Effect(factor, study.confounded.get(factor, ()), reference, levels, len(whole), left_out)


def _adjusted(effects: Sequence[Effect]) -> list[Effect]:
    """The effects with their p adjusted as one family."""
    adjusted = iter(
        statistics.holm([level.effect.p for each in effects for level in each.levels if level.effect is not None])
    )
    return [
        replace(
            each,
            levels=[
                level if level.effect is None else replace(level, effect=replace(level.effect, p=next(adjusted)))
                for level in each.levels
            ],
        )
        for each in effects
    ]


def _importances(study: Study, rows: Sequence[_Row]) -> tuple[list[Importance], float | None]:
    """Permutation importance (Breiman, "Random Forests", 2001) on runs that the forest has not seen.

    The forest learns accuracy from the settings. Folds are seeds, where there are several, so that what it is asked is
    what a setting does to another seed: a setting that does nothing comes out at 0, or below. Nothing is returned where
    there is one setting only, or too few runs to leave some out.
    """
    factors = study.factors
    seeds = np.array([seed for _, seed, _ in rows])
    several = len(np.unique(seeds)) > 1
    folds = min(_FOLDS, len(np.unique(seeds)) if several else len(rows))
    scores = np.array([score for _, _, score in rows])
    if len(factors) < 2 or len(rows) < 6 or folds < 2 or not np.ptp(scores):
        return [], None
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import GroupKFold, KFold

    codes = _encoded(study, rows)
    splitter = GroupKFold(folds) if several else KFold(folds, shuffle=True, random_state=0)
    variance = float(np.var(scores))
    drops: list[NDArray[np.float64]] = []
    squares: list[NDArray[np.float64]] = []
    for learned, unseen in splitter.split(codes, scores, seeds if several else None):
        cells, cell, counts = np.unique(codes[learned], axis=0, return_inverse=True, return_counts=True)
        means = np.bincount(cell.ravel(), scores[learned]) / counts  # over seeds: as good to learn from, and fewer
        forest = RandomForestRegressor(_TREES, random_state=0).fit(cells, means, sample_weight=counts)
        squares.append((forest.predict(codes[unseen]) - scores[unseen]) ** 2)
        found = permutation_importance(
            forest, codes[unseen], scores[unseen], scoring="neg_mean_squared_error", n_repeats=_SHUFFLES, random_state=0
        )
        drops.append(found.importances)
    of_all = np.concatenate(drops, axis=1) / variance * 100
    importances = [
        Importance(factor, float(of_all[at].mean()), float(of_all[at].std())) for at, factor in enumerate(factors)
    ]
    explained = 100 * (1 - float(np.mean(np.concatenate(squares))) / variance)
    return sorted(importances, key=lambda each: -each.percent), explained


def _encoded(study: Study, rows: Sequence[_Row]) -> NDArray[np.float64]:
    """Each setting as a number: where its value stands among its values."""
    columns = []
    for factor in study.factors:
        positions = {value: at for at, value in enumerate(study.values[factor])}
        columns.append([positions[each[factor]] for each, _, _ in rows])
    return np.array(columns, float).T
