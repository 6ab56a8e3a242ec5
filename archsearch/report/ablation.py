"""What each setting does with the others held fixed, and which settings matter at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch import stats
from archsearch.report.study import Study, Variant

_TREES = 50
_SHUFFLES = 5
_FOLDS = 5


@dataclass(frozen=True)
class Level:
    """A value of a setting. `mean` is over the blocks; `effect` is the difference to the reference value there."""

    value: str
    mean: float
    effect: stats.Difference | None  # None of the reference value


@dataclass(frozen=True)
class Effect:
    """One setting, in percent and points.

    A block is all other settings and the seed held fixed; those in which every value was tried are counted, so that
    each value is seen under the same circumstances. `p` of the effects are adjusted (Holm) over the setting's values.
    """

    factor: str
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

    Effects are against the values of `baseline`; without one, against the smallest number, or the best of words.
    """
    rows = [(variant.values, seed, score) for variant in study.variants for seed, score in variant.scores().items()]
    effects = []
    for factor in study.factors:
        effect = _effect(factor, rows, baseline.values[factor] if baseline is not None else None)
        if effect is not None:
            effects.append(effect)
    return Ablation(effects, *_importances(study.factors, rows))


_Row = tuple[Mapping[str, str], int, float]


def _effect(factor: str, rows: Sequence[_Row], reference: str | None) -> Effect | None:
    """Marginal means over complete blocks; None where there is no such block."""
    values = _ordered({each[factor] for each, _, _ in rows})
    blocks: dict[tuple[object, ...], dict[str, float]] = {}
    for settings, seed, score in rows:
        held = tuple(value for name, value in settings.items() if name != factor)
        blocks.setdefault((*held, seed), {})[settings[factor]] = score
    whole = [block for block in blocks.values() if len(block) == len(values)]
    if not whole:
        return None
    scores = {value: [block[value] for block in whole] for value in values}
    if not all(map(_is_number, values)):
        values = sorted(values, key=lambda value: -float(np.mean(scores[value])))
    reference = values[0] if reference is None else reference
    others = [value for value in values if value != reference]
    differences = [stats.paired(scores[value], scores[reference]) for value in others]
    adjusted = stats.holm([each.p for each in differences])
    found = {
        value: stats.Difference(each.value, each.low, each.high, p)
        for value, each, p in zip(others, differences, adjusted, strict=True)
    }
    levels = [Level(value, float(np.mean(scores[value])), found.get(value)) for value in values]
    return Effect(factor, reference, levels, len(whole), len(rows) - len(whole) * len(values))


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _ordered(values: set[str]) -> list[str]:
    """Numbers by size, then words by the alphabet."""
    return sorted(values, key=lambda value: (0, float(value), "") if _is_number(value) else (1, 0.0, value))


def _importances(factors: Sequence[str], rows: Sequence[_Row]) -> tuple[list[Importance], float | None]:
    """Permutation importance (Breiman, "Random Forests", 2001) on runs that the forest has not seen.

    The forest learns accuracy from the settings. Folds are seeds, where there are several, so that what it is asked is
    what a setting does to another seed: a setting that does nothing comes out at 0, or below. Nothing is returned where
    there is one setting only, or too few runs to leave some out.
    """
    seeds = np.array([seed for _, seed, _ in rows])
    folds = min(_FOLDS, len(set(seeds.tolist()))) if len(set(seeds.tolist())) > 1 else min(_FOLDS, len(rows))
    scores = np.array([score for _, _, score in rows])
    if len(factors) < 2 or len(rows) < 6 or folds < 2 or not np.ptp(scores):
        return [], None
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import GroupKFold, KFold

    codes = _encoded(factors, rows)
    several = len(set(seeds.tolist())) > 1
    splitter = GroupKFold(folds) if several else KFold(folds, shuffle=True, random_state=0)
    variance = float(np.var(scores))
    drops: list[NDArray[np.float64]] = []
    squares: list[NDArray[np.float64]] = []
    for learned, unseen in splitter.split(codes, scores, seeds if several else None):
        forest = RandomForestRegressor(_TREES, random_state=0).fit(codes[learned], scores[learned])
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


def _encoded(factors: Sequence[str], rows: Sequence[_Row]) -> NDArray[np.float64]:
    """Each setting as a number: where its value stands among its values."""
    columns = []
    for factor in factors:
        positions = {value: at for at, value in enumerate(_ordered({each[factor] for each, _, _ in rows}))}
        columns.append([positions[each[factor]] for each, _, _ in rows])
    return np.array(columns, float).T
