"""What a report concludes from trials: studies, verdicts, places, fronts, effects, differences."""

from math import isnan, sqrt
from pathlib import Path

import numpy as np
import pytest
from studies import draws, study, trial, variants, write_run

from archsearch.data.definitions import DEFINITIONS
from archsearch.errors import ConfigError, ReportError
from archsearch.report.ablation import ablate
from archsearch.report.asked import Asked, parse
from archsearch.report.diff import diff
from archsearch.report.findings import find
from archsearch.report.front import points_of
from archsearch.report.leaderboard import rank
from archsearch.report.naming import find_variant
from archsearch.report.page import write_page
from archsearch.report.sources import trial_of
from archsearch.report.study import Study, Variant, studies_of
from archsearch.report.tables import effects_table
from archsearch.report.verdict import Comparison, against, compare
from archsearch.report.versus import versus
from archsearch.stats import seeds_needed


def test_replicates_are_one_variant_and_settings_that_vary_name_it() -> None:
    found = studies_of([*variants({"0.1": [99.2, 99.3]}), *variants({"0": [99.1]}), *variants({"0": [99.2]})])[0]
    assert [variant.label for variant in found.variants] == ["dropout=0.1", "dropout=0"]
    assert found.factors == ["model.dropout"] and found.repeats == 1
    assert found.variants[1].scores() == {1: 99.2}  # the later of the two


def test_names_are_as_short_as_they_can_be() -> None:
    trials = [
        trial(settings={"model": "a", "model.head.type": "gap", "model.blocks.c.channels": "8", "x": "1"}),
        trial(settings={"model": "b", "model.head.type": "linear", "model.blocks.c.channels": "16", "x": "1"}),
        trial(settings={"model": "b", "model.head.type": "linear", "model.blocks.c.channels": "16", "x": "2"}),
    ]
    (found,) = studies_of(trials)
    assert {variant.label for variant in found.variants} == {"model=a x=1", "model=b x=1", "model=b x=2"}


def test_two_names_of_one_configuration_are_one_variant() -> None:
    (found,) = studies_of([trial(1, settings={"model": "a", "x": "1"}), trial(2, settings={"model": "b", "x": "1"})])
    (variant,) = found.variants
    assert variant.label == "a" and set(variant.trials) == {1, 2}


def test_different_data_are_different_studies_and_what_did_not_finish_only_counts() -> None:
    other = trial(1, 98.0, fingerprint="other")
    split = trial(1, 98.0, data__split_seed="1")
    on_test = trial(1, None, test=99.4)
    failed = trial(3, None, test=None, state="FAILED", model__dropout="0")
    running = trial(4, None, test=None, state="RUNNING", model__dropout="0")
    found = studies_of([*variants({"0": [99.1, 99.2]}), other, split, on_test, failed, running])
    assert [len(each.variants) for each in found] == [1, 1, 1, 1]
    assert found[0].variants[0].failed == 1
    (alone,) = (each for each in found if each.on_test)
    assert alone.judged_on == "test" and alone.variants[0].scores() == {1: 99.4}


def first_two(found: Study) -> Comparison:
    return compare(found.variants[0], found.variants[1], found)


def test_a_tie_says_how_many_seeds_it_would_take() -> None:
    found = study({"0": [99.20, 99.30, 99.25, 99.10, 99.24], "0.1": [99.15, 99.26, 99.22, 99.12, 99.14]})
    comparison = first_two(found)
    assert comparison.verdict == "tied"
    assert comparison.sentence() == (
        "dropout=0 and dropout=0.1 cannot be told apart: 0.04 +- 0.10 points; about 46 seeds each would be needed"
    )
    assert comparison.paired is not None and comparison.paired.value == pytest.approx(0.04)


def test_better_trivial_and_unknown() -> None:
    clear = study({"0": draws(99.4, 5, 1), "0.1": draws(99.1, 5, 2)})
    comparison = first_two(clear)
    assert comparison.verdict == "better" and "is better than dropout=0.1" in comparison.sentence()
    assert compare(clear.variants[1], clear.variants[0], clear).verdict == "worse"
    # A real difference of a third of the spread: A beats B in 59 % of runs.
    slight = study({"0": draws(99.32, 800, 1), "0.1": draws(99.30, 800, 2)})
    comparison = first_two(slight)
    assert comparison.p < 0.001 and comparison.verdict == "trivial" and "too little to matter" in comparison.sentence()
    assert comparison.conclusion == "not meaningful"
    single = study({"0": [99.25], "0.1": [99.20]})
    comparison = first_two(single)
    assert comparison.verdict == "unknown"
    assert (
        "two seeds of the same network differ by up to 0.17 (those of the reference spread by 0.06)"
        in comparison.sentence()
    )
    elsewhere = study({"0": [95.0], "0.1": [94.0]})
    assert "nothing is known of the spread" in first_two(elsewhere).sentence()


def test_many_variants_against_a_baseline_are_one_family() -> None:
    found = study({level: draws(99.2, 5, level) for level in range(10)})
    base = find_variant(found, "#4", "baseline")
    comparisons = against(base, found)
    assert len(comparisons) == 9 and all(each.family == 9 for each in comparisons.values())
    raw = sorted(compare(variant, base, found).p for variant in found.variants if variant is not base)
    assert min(each.p for each in comparisons.values()) == pytest.approx(min(1, 9 * raw[0]))


def test_places_are_shared_by_ties() -> None:
    found = study(
        {"0": draws(99.40, 6, 1), "0.05": draws(99.38, 6, 2), "0.1": draws(98.9, 6, 3), "0.2": draws(97, 6, 4)}
    )
    board = rank(found)
    assert [(row.place, row.tied) for row in board.rows] == [(1, True), (1, True), (3, False), (4, False)]
    assert (
        board.rivals == 2
        and board.family == 6
        and board.optimism == pytest.approx(0.56419 * (found.spread or 0) / sqrt(6), rel=1e-3)
    )
    beside = rank(found, found.variants[3])
    assert beside.family == 3 and {row.place for row in beside.rows} == {None}


def test_single_runs_are_judged_by_the_spread_of_the_others_or_not_at_all() -> None:
    found = study({"0": [99.4, 99.3, 99.35], "0.1": [99.3], "0.2": [90.0]})
    assert [(row.place, row.tied) for row in rank(found).rows] == [(1, True), (1, True), (3, False)]
    single = study({level: [99.3 - level / 100] for level in range(30)})
    board = rank(single)
    assert {row.place for row in board.rows} == {None} and board.rivals == 30
    row = board.rows[10]
    assert row.against is not None and row.against.verdict == "unknown"
    assert row.against.seeds_needed == 20  # 7 for this pair alone, but the leaderboard would test all 435
    same = study({"0": [99.2, 99.2], "0.1": [99.0, 99.0]})
    assert "no seeds differ, which says nothing of their spread" in first_two(same).sentence()


def test_what_no_seeds_would_tell() -> None:
    found = study({"0": [99.1, 99.3], "0.1": [99.2, 99.2]})
    assert first_two(found).sentence().endswith("; no number of seeds is in sight")


def test_settings_that_move_together_have_one_effect() -> None:
    trials = [
        trial(seed, 99 + lr + random, optimizer__lr=str(lr), trainer__batch_size=batch)
        for lr, batch in ((0.1, "32"), (0.2, "64")) for seed, random in ((1, 0.01), (2, -0.02), (3, 0.0))
    ]  # fmt: skip
    (found,) = studies_of(trials)
    (effect,) = ablate(found).effects
    assert (effect.factor, effect.moving) == ("optimizer.lr", ["trainer.batch_size"])
    assert effects_table(effect).caption.startswith("Effect of lr with batch_size, over 3 blocks")


def test_moved_blocks_are_another_variant() -> None:
    first = {"model": "a", "model.blocks": "c1 c2", "model.blocks.c1.channels": "4"}
    (found,) = studies_of([trial(1, settings=first), trial(1, settings={**first, "model.blocks": "c2 c1"})])
    assert len(found.variants) == 2 and found.factors == ["model.blocks"]


def test_what_a_sweep_varied_counts_even_where_mlflow_has_no_column_for_it(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(at)) for at in range(2)]
    varied = [{"trainer.compile": value, "optimizer": "sgd", "seed": "1"} for value in ("true", "false")]
    trials = [trial_of(folder, values) for folder, values in zip(folders, varied, strict=True)]
    (found,) = studies_of([one for one in trials if one is not None])
    assert found.factors == ["trainer.compile"] and len(found.variants) == 2


def test_odd_names_do_not_break_the_page(tmp_path: Path) -> None:
    found = study({"$\\foo$": [99.1, 99.2], "<b>\x07&": [99.3, 99.25]})
    path = tmp_path / "page.html"
    write_page(path, "<i>title</i>", None, [find(found, Asked(), tmp_path)], "params")
    page = path.read_text()
    assert "&lt;b&gt;" in page and "<b>" not in page and "<i>" not in page


def test_one_run_has_wilsons_interval_and_several_have_that_of_t() -> None:
    found = study({"0": [99.40], "0.1": [99.1, 99.2, 99.3]})
    single, several = rank(found).rows
    assert (round(single.score.low, 2), round(single.score.high, 2)) == (99.23, 99.53)
    assert several.score.half == pytest.approx(0.1 / sqrt(3) * 4.3027, rel=1e-4)


def test_the_front_and_what_may_belong_to_it() -> None:
    trials = [
        *variants({"0": [99.0, 99.1, 99.05]}, params=1000),
        *variants({"0.1": [99.2, 99.4, 99.3]}, params=5000),
        *variants({"0.2": [99.25, 99.35, 99.2]}, params=6000),  # worse than the one before it, perhaps
        *variants({"0.3": [97.0, 97.1, 97.2]}, params=7000),  # worse, surely
    ]
    (found,) = studies_of(trials)
    points = points_of(rank(found), "params")
    assert [(point.cost, point.on_front, point.maybe) for point in points] == [
        (1000, True, False), (5000, True, False), (6000, False, True), (7000, False, False),
    ]  # fmt: skip


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
    assert width is not None and width.low < 0.5 < width.high and width.half < 0.05
    assert dropout is not None and dropout.low < -0.1 < dropout.high and dropout.p < 0.001
    assert effects["model.dropout"].blocks == 6 and effects["model.dropout"].left_out == 1
    first, second = ablation.importances
    assert first.factor == "model.width" and first.percent > 50 > second.percent > 0
    assert ablation.explained is not None and ablation.explained > 90
    against_best = ablate(found, find_variant(found, "dropout=0.1 width=2", "baseline"))
    assert {effect.reference for effect in against_best.effects} == {"0.1", "2"}


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


def test_variants_are_found_by_row_label_values_or_run() -> None:
    (found,) = studies_of(
        [trial(1, 99 + at / 10, model__dropout=d, **{"model__head.type": h})
         for at, (d, h) in enumerate((d, h) for d in ("0", "0.1") for h in ("gap", "linear"))]
    )  # fmt: skip

    def named(name: str) -> str:
        return find_variant(found, name, "compare").label

    best = found.variants[0]
    assert named("#1") == best.label == named(best.label) == named(best.any.run_id[:32])
    assert named("dropout=0.0 gap") == named("head.type=gap 0") == named("model.dropout=0 model.head.type=gap")
    for name, reason in (
        ("gap", "2 variants are called so"), ("#9", "rows #1 to #4"), ("gip", "no variant is called so"),
        ("seed=1", "the better one of two seeds is luck"),
    ):  # fmt: skip
        with pytest.raises(ReportError, match=reason):
            named(name)


def test_two_seeds_are_not_compared() -> None:
    found = study({"0": [99.1, 99.3], "0.1": [99.2, 99.2]})
    names = tuple(one.run_id for one in found.variants[0].trials.values())
    with pytest.raises(ReportError, match="the better one of two seeds is luck"):
        find(found, Asked(compare=names), Path())


def test_what_can_be_asked() -> None:
    asked, rest = parse(["sweep=a,last", "compare=[x=1 y=2,'b, c']", "filter=\"params.model = 'a'\"", "data.root=/x"])
    assert asked.sweep == ("a", "last") and asked.compare == ("x=1 y=2", "b, c")
    assert asked.filter == "params.model = 'a'" and rest == ["data.root=/x"]
    with pytest.raises(ConfigError) as raised:
        parse(["sweeep=a", "compare=A", "cost=flops", "last", "html="])
    text = str(raised.value)
    for part in (
        "sweeep: unknown setting (did you mean sweep?)", "compare: got 'A' only", "must be one of params, macs",
        "last: is no setting=value", "html: names nothing",
    ):  # fmt: skip
        assert part in text


def test_architectures_are_compared_block_by_block(tmp_path: Path) -> None:
    a = trial_of(write_run(tmp_path / "a", "model=session4"))
    b = trial_of(
        write_run(
            tmp_path / "b", "model=session4", "model.head.type=gap", "model.blocks.conv3.channels=16",
            "~model.blocks.trans2", "+model.blocks.extra={channels: 8, padding: same}", "optimizer.lr=0.05",
            "++model.head.dropout=0.1",
        )
    )  # fmt: skip
    assert a is not None and b is not None
    found = diff(a, b, DEFINITIONS["digits"])
    assert found is not None
    blocks = {block.name: block for block in found.blocks}
    assert [block.name for block in found.blocks] == [
        "conv1", "conv2", "conv3", "trans1", "conv4", "conv5", "trans2", "extra", "head",
    ]  # fmt: skip
    assert blocks["conv1"].status == "same" and blocks["conv1"].change("params") == 0
    assert blocks["conv3"].changes == [("channels", "24", "16")] and blocks["conv3"].change("params") == -8 * (
        12 * 9 + 3
    )
    assert blocks["trans2"].status == "only in A" and blocks["trans2"].change("receptive_field") < 0
    assert blocks["extra"].status == "only in B" and blocks["head"].changes == [
        ("type", "linear", "gap"),
        ("dropout", "0.0", "0.1"),
    ]
    assert sum(block.change("params") for block in found.blocks) == found.b.params - found.a.params
    assert sum(block.change("macs") for block in found.blocks) == found.b.macs - found.a.macs
    assert found.other == [("optimizer.lr", "0.1", "0.05")]


def variant_of(*folders: Path) -> Variant:
    trials = [trial_of(folder) for folder in folders]
    return Variant(folders[0].name, {}, {it.seed: it for it in trials if it is not None})


def test_predictions_are_compared_image_by_image(tmp_path: Path) -> None:
    right = np.ones(40, bool)
    a1, a2, b1 = right.copy(), right.copy(), right.copy()
    a1[[3]] = False
    a2[[3, 4]] = False
    b1[[5, 6, 7]] = False
    a = variant_of(write_run(tmp_path / "a1", right=a1.tolist()), write_run(tmp_path / "a2", seed=2, right=a2.tolist()))
    b = variant_of(write_run(tmp_path / "b1", right=b1.tolist()))
    found = versus(a, b, 10)
    (test,) = found.tests
    assert (test.seeds, test.only_a, test.only_b) == ((1, 1), 3, 1) and test.p == pytest.approx(2 * 5 / 16)
    assert found.only("A", 9) == [5, 6, 7] and found.only("B", 9) == [3, 4] and found.only("B", 1) == [3]
    assert found.usual_mistake("B", 5) == 6
    assert found.confusion[5, 6] == -1 and found.confusion[3, 4] == 1 and found.confusion[4, 5] == 0.5
    assert found.confusion.sum() == 0
    assert found.over_images.value == pytest.approx(100 * (3 - 1.5) / 40) and not isnan(found.over_images.low)


def test_predictions_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    a = variant_of(write_run(tmp_path / "a", right=[True] * 20))
    for name, folder, reason in (
        ("none", write_run(tmp_path / "b"), "has kept no predictions.csv"),
        ("fewer", write_run(tmp_path / "c", right=[True] * 10), "not tested on the same images"),
        ("torn", write_run(tmp_path / "d", right=[True] * 20), "not a run's predictions"),
    ):
        if name == "torn":
            (folder / "predictions.csv").write_text("index,label,prediction,confidence\n0,1,x,0.5\n")
        with pytest.raises(ReportError, match=reason):
            versus(a, variant_of(folder), 10)


def simulated(random: np.random.Generator, mean_a: float, mean_b: float, seeds: int) -> str:
    """The verdict of a study of two variants at the spread of the reference, on 10,000 images."""
    scores = np.round(random.normal([[mean_a], [mean_b]], 0.06, (2, seeds)), 2)
    a, b = (
        Variant(name, {"x": name}, {seed: trial(seed, float(score)) for seed, score in enumerate(each)})
        for name, each in zip("ab", scores, strict=True)
    )
    return compare(a, b, Study([a, b], ["x"])).verdict


def test_identical_variants_are_called_better_in_at_most_one_study_of_twenty() -> None:
    """`benchmarks/verdicts.py` has more studies, more seeds and more variants."""
    random = np.random.default_rng(5)
    verdicts = [simulated(random, 99.3, 99.3, 5) for _ in range(1500)]
    assert verdicts.count("better") + verdicts.count("worse") <= 75


def test_the_stated_number_of_seeds_finds_the_difference() -> None:
    """A true difference of 0.10 points at a spread of 0.06: so many are stated, and find it in 80 % of studies."""
    needed = seeds_needed(0.10, 0.06)
    assert needed is not None
    random = np.random.default_rng(0)
    verdicts = [simulated(random, 99.4, 99.3, needed) for _ in range(1000)]
    assert verdicts.count("better") >= 800
