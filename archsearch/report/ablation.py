"""The effect of each setting with the others held fixed, and the importance of settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from archsearch.report import statistics
from archsearch.report.study import Study, Variant
from archsearch.report.verdict import ALPHA

_TREES = 30
_DRAWS = 60  # values of a setting that replace that of a run; divisible by 2 to 6
_FOLDS = 5
_FEWEST_RUNS = 6  # for importances
_FEWEST_SINGLE_RUNS = 12  # with one seed for all
_LEAST_PERCENT = 1.0  # of the variance, of a setting that matters
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

    def is_important(self, importance: Importance) -> Literal["yes", "unclear", "not detected"]:
        """Whether held-out runs show that the setting matters; `unclear` if they do not, but its effect does."""
        is_shown = importance.percent > max(_LEAST_PERCENT, 2 * importance.sd)
        if is_shown and self.explained is not None and self.explained > 0:
            return "yes"
        effects = [level.effect for effect in self.effects if effect.factor == importance.factor
                   for level in effect.levels if level.effect is not None]  # fmt: skip
        return "unclear" if any(effect.p < ALPHA for effect in effects) else "not detected"


def ablate(study: Study, baseline: Variant | None = None) -> Ablation:
    """The effect and importance of each setting in which the variants of `study` differ.

    Effects are relative to the values of `baseline`; without one, to the smallest number or the word that was trained
    first. The best value would be a biased reference, because it is partly best by chance. The effect of a study's only
    setting is left out: the leaderboard has a verdict on the same pairs of variants.
    """
    rows = [(variant.values, seed, score) for variant in study.variants for seed, score in variant.scores().items()]
    effects = []
    for factor in study.factors if len(study.factors) > 1 else ():
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
    fewest = _FEWEST_RUNS if several else _FEWEST_SINGLE_RUNS
    if len(factors) < 2 or len(rows) < fewest or folds < 2 or not np.ptp(scores):
        return [], None
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.model_selection import GroupKFold, KFold

    codes = _encoded(study, rows)
    draws = [_draws(column) for column in codes.T]
    splitter = GroupKFold(folds) if several else KFold(folds, shuffle=True, random_state=0)
    variance = float(np.var(scores))
    increases: list[list[float]] = []  # of the squared error, by fold and factor
    sizes: list[int] = []  # of the folds
    squares: list[NDArray[np.float64]] = []
    for train, test in splitter.split(codes, scores, seeds if several else None):
        cells, cell, counts = np.unique(codes[train], axis=0, return_inverse=True, return_counts=True)
        means = np.bincount(cell.ravel(), scores[train]) / counts  # over seeds: equivalent, with fewer rows
        forest = ExtraTreesRegressor(_TREES, random_state=0).fit(cells, means, sample_weight=counts)
        errors = (forest.predict(codes[test]) - scores[test]) ** 2
        changed = [
            (forest.predict(_with_values(codes[test], factor, values)) - np.tile(scores[test], len(values))) ** 2
            for factor, values in enumerate(draws)
        ]
        increases.append([float(error.mean() - errors.mean()) for error in changed])
        sizes.append(len(test))
        squares.append(errors)
    # Drawing a setting that explains everything doubles the variance: the error is that of two independent draws.
    percent = np.array(increases).T / (2 * variance) * 100  # (factors, folds)
    importances = [
        Importance(
            factor, min(100.0, max(0.0, float(np.average(values, weights=sizes)))), _deviation(values, sizes)
        )
        for factor, values in zip(factors, percent, strict=True)
    ]  # fmt: skip
    explained = 100 * (1 - float(np.mean(np.concatenate(squares))) / variance)
    return sorted(importances, key=lambda importance: -importance.percent), explained


def _draws(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values that represent a setting in all runs: what many shuffles would put in the place of a run's own."""
    places = ((np.arange(_DRAWS) + 0.5) / _DRAWS * len(column)).astype(int)
    return np.asarray(np.sort(column)[places])


def _with_values(codes: NDArray[np.float64], factor: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows of `codes`, once with each of the values of a factor."""
    rows = np.tile(codes, (len(values), 1))
    rows[:, factor] = np.repeat(values, len(codes))
    return rows


def _deviation(values: NDArray[np.float64], weights: Sequence[int]) -> float:
    """The weighted standard deviation between folds."""
    centre = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - centre) ** 2, weights=weights) * len(values) / (len(values) - 1)))


def _encoded(study: Study, rows: Sequence[_Row]) -> NDArray[np.float64]:
    """Settings as ordinal codes, the positions of their values: (runs, factors)."""
    columns = []
    for factor in study.factors:
        positions = {value: position for position, value in enumerate(study.values[factor])}
        columns.append([positions[settings[factor]] for settings, _, _ in rows])
    return np.array(columns, float).T
