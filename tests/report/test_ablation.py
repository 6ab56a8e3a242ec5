"""What a report says of settings: their effects, and which of them matter."""

import numpy as np

from archsearch.report.ablation import ablate
from archsearch.report.naming import find_variant
from archsearch.report.study import studies_of
from archsearch.report.tables import effects_table
from tests.support.studies import trial


def test_effects_hold_the_other_settings_fixed() -> None:
    """Width matters much, dropout a little; one dropout was only tried where width is 1, and does not count there."""
    random = np.random.default_rng(0)
    trials = [
        trial(seed, 98 + 0.5 * width - 0.1 * (dropout == "0.1") + random.normal(0, 0.01),
              model__width=str(width), model__dropout=dropout, model__c=str(seed % 1))
        for width in (1, 2) for dropout in ("0", "0.1") for seed in (1, 2, 3)
    ]  # fmt: skip
    trials += [trial(9, 98.5, model__width="1", model__dropout="0", model__c="0")]
    (found,) = studies_of(trials)
    ablation = ablate(found)
    effects = {effect.factor: effect for effect in ablation.effects}
    width = effects["model.width"].levels[1].effect
    dropout = effects["model.dropout"].levels[1].effect
    assert width is not None and width.low < 0.5 < width.high and width.half_width < 0.05
    assert dropout is not None and dropout.low < -0.1 < dropout.high and dropout.p < 0.001
    assert effects["model.dropout"].blocks == 6 and effects["model.dropout"].left_out == 1
    first, second = ablation.importances
    assert first.factor == "model.width" and first.percent > 50 > second.percent > 0
    assert ablation.explained is not None and ablation.explained > 90
    against_best = ablate(found, find_variant(found, "dropout=0.1 width=2", "baseline"))
    assert {effect.reference for effect in against_best.effects} == {"0.1", "2"}


def test_settings_that_move_together_have_one_effect() -> None:
    trials = [
        trial(seed, 99 + lr + random, optimizer__lr=str(lr), trainer__batch_size=batch)
        for lr, batch in ((0.1, "32"), (0.2, "64")) for seed, random in ((1, 0.01), (2, -0.02), (3, 0.0))
    ]  # fmt: skip
    (found,) = studies_of(trials)
    (effect,) = ablate(found).effects
    assert (effect.factor, effect.confounded) == ("optimizer.lr", ["trainer.batch_size"])
    assert effects_table(effect).caption.startswith("Effect of lr with batch_size, over 3 blocks")


def test_a_setting_that_does_nothing_is_not_important() -> None:
    random = np.random.default_rng(1)
    trials = [
        trial(seed, 99 + random.normal(0, 0.06), model__width=str(width), model__dropout=str(dropout))
        for width in (1, 2, 3) for dropout in (0, 1, 2) for seed in range(1, 6)
    ]  # fmt: skip
    (found,) = studies_of(trials)
    ablation = ablate(found)
    assert ablation.explained is not None and ablation.explained < 10
    for each in ablation.importances:
        assert each.percent < max(1, 2 * each.sd)
    assert all(level.effect is None or level.effect.p > 0.05 for it in ablation.effects for level in it.levels)
