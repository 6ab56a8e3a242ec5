"""The effects and the importance of settings."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archsearch.report.ablation import Ablation, Effect, Importance, ablate
from archsearch.report.findings import analyze
from archsearch.report.naming import find_variant
from archsearch.report.options import Options
from archsearch.report.pictures import importance_plot
from archsearch.report.study import Study, studies_of
from archsearch.report.tables import effects_table, importance_table
from archsearch.report.text import text
from tests.support.studies import study_run


@pytest.fixture(scope="module")
def grid() -> Study:
    """Width has a large effect (+0.5), dropout a small one (-0.1); one extra run is in no complete block."""
    random = np.random.default_rng(0)
    runs = [
        study_run(seed, 98 + 0.5 * width - 0.1 * (dropout == "0.1") + random.normal(0, 0.01),
                  model__width=str(width), model__dropout=dropout, model__c=str(seed % 1))
        for width in (1, 2) for dropout in ("0", "0.1") for seed in (1, 2, 3)
    ]  # fmt: skip
    (study,) = studies_of([*runs, study_run(9, 98.5, model__width="1", model__dropout="0", model__c="0")])
    return study


@pytest.fixture(scope="module")
def ablation(grid: Study) -> Ablation:
    return ablate(grid)


def effect_of(setting: str, ablation: Ablation) -> Effect:
    return next(effect for effect in ablation.effects if effect.factor == setting)


@pytest.mark.parametrize(("setting", "true_effect"), [("model.width", 0.5), ("model.dropout", -0.1)])
def test_an_effect_is_estimated_with_the_other_settings_held_fixed(
    ablation: Ablation, setting: str, true_effect: float
) -> None:
    difference = effect_of(setting, ablation).levels[1].effect
    assert difference is not None and difference.low < true_effect < difference.high
    assert difference.half_width < 0.05 and difference.p < 0.001


def test_runs_outside_of_complete_blocks_are_left_out(ablation: Ablation) -> None:
    effect = effect_of("model.dropout", ablation)
    assert effect.blocks == 6 and effect.left_out == 1


def test_the_larger_effect_is_the_more_important_setting(ablation: Ablation) -> None:
    first, second = ablation.importances
    assert first.factor == "model.width" and first.percent > 50 > second.percent > 0
    assert ablation.explained is not None and ablation.explained > 90


def test_effects_are_relative_to_the_baseline(grid: Study) -> None:
    effects = ablate(grid, find_variant(grid, "dropout=0.1 width=2", "baseline")).effects
    assert {effect.reference for effect in effects} == {"0.1", "2"}


def test_settings_that_change_together_share_one_effect() -> None:
    runs = [
        study_run(seed, 98 + lr + noise, optimizer__lr=str(lr), trainer__batch_size=batch, model__width=width)
        for lr, batch in ((0.1, "32"), (0.2, "64")) for width in "12"
        for seed, noise in ((1, 0.01), (2, -0.02), (3, 0.0))
    ]  # fmt: skip
    (study,) = studies_of(runs)
    effect = effect_of("optimizer.lr", ablate(study))
    assert (effect.factor, effect.confounded) == ("optimizer.lr", ["trainer.batch_size"])
    assert effects_table(effect).caption.startswith("Effect of lr with batch_size, with seed and other settings")


def test_the_only_setting_has_no_effect_beside_the_verdicts_but_a_note_on_what_changes_with_it() -> None:
    runs = [study_run(seed, 98 + lr + seed / 100, optimizer__lr=lr, trainer__batch_size=int(lr * 320))
            for lr in (0.1, 0.2) for seed in (1, 2, 3)]  # fmt: skip
    (study,) = studies_of(runs)
    findings = analyze(study, Options(), Path())
    assert findings.ablation == Ablation([], [], None)
    assert "lr changes together with batch_size: their effects cannot be separated" in findings.notes
    assert "Effect of" not in text(findings, "params")


def test_a_significant_effect_is_not_called_not_detected(ablation: Ablation) -> None:
    weak = [Importance(importance.factor, 3.0, 2.0) for importance in ablation.importances]
    unclear = replace(ablation, importances=weak)
    assert [row[2].text for row in importance_table(ablation).rows] == ["yes", "yes"]
    assert [row[2].text for row in importance_table(unclear).rows] == ["unclear", "unclear"]
    without = replace(unclear, effects=[])
    assert [row[2].text for row in importance_table(without).rows] == ["not detected", "not detected"]


@pytest.mark.parametrize(("dropouts", "has_importance"), [(5, False), (6, True)])
def test_fewer_than_12_single_runs_show_no_importance(dropouts: int, has_importance: bool) -> None:
    runs = [study_run(1, 90 + width + dropout / 10, model__width=width, model__dropout=dropout)
            for width in range(2) for dropout in range(dropouts)]  # fmt: skip
    assert bool(ablate(studies_of(runs)[0]).importances) == has_importance


@pytest.fixture(scope="module")
def ablation_of_noise() -> Ablation:
    """Neither of two settings has an effect."""
    random = np.random.default_rng(1)
    runs = [
        study_run(seed, 99 + random.normal(0, 0.06), model__width=str(width), model__dropout=str(dropout))
        for width in (1, 2, 3) for dropout in (0, 1, 2) for seed in range(1, 6)
    ]  # fmt: skip
    (study,) = studies_of(runs)
    return ablate(study)


def test_a_setting_without_effect_is_not_important(ablation_of_noise: Ablation) -> None:
    assert ablation_of_noise.explained is not None and ablation_of_noise.explained < 10
    for importance in ablation_of_noise.importances:
        assert importance.percent < max(1, 2 * importance.sd)


def test_a_setting_without_effect_is_not_significant(ablation_of_noise: Ablation) -> None:
    levels = [level for effect in ablation_of_noise.effects for level in effect.levels if level.effect is not None]
    assert levels and all(level.effect is not None and level.effect.p > 0.05 for level in levels)


def test_the_importance_of_the_only_setting_with_an_effect_is_close_to_100_and_never_above() -> None:
    runs = [
        study_run(seed, 90 + 4 * width, model__width=str(width), model__dropout=str(dropout))
        for width in (0, 2) for dropout in (0, 1) for seed in range(1, 9)
    ]  # fmt: skip
    (study,) = studies_of(runs)
    first, second = ablate(study).importances
    assert first.factor == "model.width" and 60 < first.percent <= 100 and second.percent == 0


def test_importance_is_unbiased() -> None:
    """5 widths in steps of 0.2 points have 83 % of the variance, 4 dropouts in steps of 0.1 have 13 %."""
    random = np.random.default_rng(0)
    widths, dropouts = [], []
    for _ in range(6):
        runs = [
            study_run(seed, 98 + 0.2 * width - 0.1 * dropout + random.normal(0, 0.06), model__width=width,
                      model__dropout=dropout)
            for width in range(5) for dropout in range(4) for seed in range(1, 6)
        ]  # fmt: skip
        (study,) = studies_of(runs)
        first, second = ablate(study).importances
        widths.append(first.percent)
        dropouts.append(second.percent)
    assert np.mean(widths) == pytest.approx(83, abs=3) and np.mean(dropouts) == pytest.approx(13, abs=1.5)


def test_the_bars_of_importance_end_at_100() -> None:
    svg = importance_plot(Ablation([], [Importance("model.width", 100.0, 60.0), Importance("x", 0.0, 9.0)], 90.0))
    edges = [float(x) for path in re.findall(r' d="M ([^"]+)"', svg) for x in re.findall(r"([\d.]+) [\d.]+", path)]
    assert max(edges) <= float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    ticks = [float(text) for text in re.findall(r">(-?[\d.]+)</text>", svg)]
    assert min(ticks) == 0 and max(ticks) == 100
