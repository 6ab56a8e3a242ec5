"""Verdicts on two variants, and how often they are wrong."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archsearch.report.findings import Findings, analyze
from archsearch.report.leaderboard import rank
from archsearch.report.naming import find_variant
from archsearch.report.options import Options
from archsearch.report.page import page_text
from archsearch.report.pareto import points_of
from archsearch.report.statistics import seeds_needed
from archsearch.report.study import Study, Variant, studies_of
from archsearch.report.tables import leaderboard_table
from archsearch.report.text import improvement_sentence, text
from archsearch.report.verdict import Comparison, against, compare
from tests.support.studies import draws, replicates, study, study_run


def first_two(variants: Study) -> Comparison:
    return compare(variants.variants[0], variants.variants[1], variants)


@pytest.fixture(scope="module")
def tie() -> Comparison:
    scores = {"0": [99.20, 99.30, 99.25, 99.10, 99.24], "0.1": [99.15, 99.26, 99.22, 99.12, 99.14]}
    return first_two(study(scores))


def test_a_tie_states_how_many_seeds_would_be_needed(tie: Comparison) -> None:
    assert tie.verdict == "tied"
    assert tie.sentence() == (
        "No significant difference between dropout=0 and dropout=0.1: 0.04 +- 0.10 points;"
        " about 46 seeds each would be needed to detect it"
    )


def test_seeds_that_both_have_are_also_compared_in_pairs(tie: Comparison) -> None:
    assert tie.paired is not None and tie.paired.value == pytest.approx(0.04)


def test_a_clear_difference_is_better_one_way_and_worse_the_other() -> None:
    clear = study({"0": draws(99.4, 5, 1), "0.1": draws(99.1, 5, 2)})
    comparison = first_two(clear)
    assert comparison.verdict == "better" and "dropout=0 is better than dropout=0.1" in comparison.sentence()
    assert compare(clear.variants[1], clear.variants[0], clear).verdict == "worse"


def test_a_significant_difference_of_a_third_of_the_spread_is_trivial() -> None:
    comparison = first_two(study({"0": draws(99.32, 800, 1), "0.1": draws(99.30, 800, 2)}))  # P(A > B) = 0.59
    assert comparison.p < 0.001 and comparison.verdict == "trivial"
    assert comparison.conclusion == "not meaningful" and "too little to matter" in comparison.sentence()


def test_single_runs_are_measured_by_the_spread_of_the_reference() -> None:
    comparison = first_two(study({"0": [99.25], "0.1": [99.20]}))
    assert comparison.verdict == "unknown"
    assert "two seeds of the same network differ by up to 0.17 points" in comparison.sentence()
    assert "(standard deviation 0.06, from the reference network)" in comparison.sentence()


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ({"0": [95.0], "0.1": [94.0]}, "with one seed each, and the spread between seeds is unknown"),
        ({"0": [99.2, 99.2], "0.1": [99.0, 99.0]}, "no variant's seeds differ"),
    ],
)
def test_without_a_known_spread_nothing_is_concluded(scores: dict[str, list[float]], reason: str) -> None:
    comparison = first_two(study(scores))
    assert comparison.verdict == "unknown" and reason in comparison.sentence()


def test_equal_means_need_no_number_of_seeds() -> None:
    sentence = first_two(study({"0": [99.1, 99.3], "0.1": [99.2, 99.2]})).sentence()
    assert sentence.endswith("; no practical number of seeds would detect it")


def test_comparisons_with_a_baseline_are_adjusted_as_one_family() -> None:
    ten = study({level: draws(99.2, 5, level) for level in range(10)})
    baseline = find_variant(ten, "#4", "baseline")
    comparisons = against(baseline, ten)
    assert len(comparisons) == 9 and all(comparison.family == 9 for comparison in comparisons.values())
    smallest = min(compare(variant, baseline, ten).p for variant in ten.variants if variant is not baseline)
    assert min(comparison.p for comparison in comparisons.values()) == pytest.approx(min(1, 9 * smallest))


def test_the_leader_of_tied_variants_is_said_to_be_overstated() -> None:
    tied = study({"0": [99.1, 99.3, 99.2], "0.1": [99.0, 99.3, 99.25], "0.2": [97.0, 97.1, 97.05]})
    notes = analyze(tied, Options(), Path()).notes
    tie = "1 variant does not differ significantly from the leader"
    assert f"{tie}; picking the best overstates its accuracy by about 0.04 points" in notes


def simulated_verdict(random: np.random.Generator, mean_a: float, mean_b: float, seeds: int) -> str:
    """The verdict on two variants with the reference's spread, measured on 10,000 images."""
    scores = np.round(random.normal([[mean_a], [mean_b]], 0.06, (2, seeds)), 2)
    a, b = (
        Variant(name, {"x": name}, {seed: study_run(seed, float(score)) for seed, score in enumerate(accuracies)})
        for name, accuracies in zip("ab", scores, strict=True)
    )
    return compare(a, b, Study([a, b], ["x"])).verdict


def test_identical_variants_are_called_different_in_at_most_5_percent_of_studies() -> None:
    """`benchmarks/verdicts.py` simulates more seeds and variants; it finds 4.5 % in 10,000 studies.

    The share in fewer studies varies by chance (one block of 1,000 gave 5.2 %), so the seed is fixed.
    """
    random = np.random.default_rng(5)
    verdicts = [simulated_verdict(random, 99.3, 99.3, 5) for _ in range(1500)]
    assert verdicts.count("better") + verdicts.count("worse") <= 75


def test_the_stated_number_of_seeds_detects_the_difference_in_80_percent_of_studies() -> None:
    needed = seeds_needed(0.10, 0.06)
    assert needed is not None
    random = np.random.default_rng(0)
    verdicts = [simulated_verdict(random, 99.4, 99.3, needed) for _ in range(1000)]
    assert verdicts.count("better") >= 800


def compared(study: Study, a: str, b: str) -> Findings:
    return analyze(study, Options(compare=(a, b)), Path())


@pytest.fixture(scope="module")
def three_seeds() -> Study:
    """Three seeds of three variants: the leader and the second are close, in one family or as a single pair."""
    return study({"0": [99.1, 99.3, 99.2], "0.1": [99.0, 99.25, 99.1], "0.2": [97.0, 97.1, 97.05]})


@pytest.mark.parametrize("asked", [("0", "0.1"), ("0.1", "0"), ("0.1", "0.2"), ("0.2", "0")])
def test_a_compared_pair_has_one_verdict_with_a_before_b_as_asked(three_seeds: Study, asked: tuple[str, str]) -> None:
    findings = compared(three_seeds, *asked)
    output = text(findings, "params")
    assert findings.pair is not None
    sentence = findings.pair.validation.sentence(in_order=True)
    assert findings.sentences == [sentence]
    assert sentence.index(f"dropout={asked[0]} ") < sentence.index(f"dropout={asked[1]}:")
    assert len(set(re.findall(r"about [\d,]+ seeds", output))) <= 1
    assert len(re.findall("better than|worse than|No significant difference", output)) == 1


def test_a_worse_a_is_called_worse(three_seeds: Study) -> None:
    (sentence,) = compared(three_seeds, "0.2", "0").sentences
    assert sentence.startswith("dropout=0.2 is worse than dropout=0: 2.15 +- ")


def test_only_the_compared_pair_has_a_verdict_in_the_leaderboard(three_seeds: Study) -> None:
    rows = compared(three_seeds, "0.2", "0").board.rows
    assert [row.against is not None for row in rows] == [False, False, True]
    assert {row.place for row in rows} == {None}


def test_a_pair_of_several_variants_has_a_note_on_its_p_value_among_all_pairs(three_seeds: Study) -> None:
    findings = compared(three_seeds, "0", "0.1")
    among_all = rank(three_seeds).p[0, 1]
    note = (
        "the p-value holds for a pair that was chosen before the results were seen; as one of all 3 pairs, it is"
        f" p = {among_all:.2f}"
    )
    assert findings.notes == [note]
    assert f"note: {note}" in text(findings, "params") and note in page_text("", None, [findings], "params")
    assert compared(study({"0": [99.1, 99.3], "0.1": [99.0, 99.2]}), "0", "0.1").notes == []


def test_contenders_and_the_front_agree_with_the_verdicts_beside_a_baseline() -> None:
    """The baseline differs significantly from the leader in a family of 3, but not in one of all 6 pairs."""
    scores = {
        "0": [99.3, 99.32, 99.34],
        "0.1": [99.2, 99.22, 99.26],
        "0.2": [99.1, 99.3, 99.25],
        "0.3": [99.0, 99.3, 99.2],
    }
    runs = [run for number, (name, values) in enumerate(scores.items())
            for run in replicates({name: values}, params=1000 + number)]  # fmt: skip
    (four,) = studies_of(runs)
    names = [variant.values["model.dropout"] for variant in four.variants]
    index = names.index("0.1")
    board = rank(four, four.variants[index])
    verdict = board.rows[0].against
    assert verdict is not None and verdict.verdict == "better" and rank(four).p[0, index] > 0.05
    assert board.p[0, index] == board.p[index, 0] == verdict.p and index not in board.contenders
    (point,) = [point for point in points_of(board, "params") if point.number == index + 1]
    assert not point.on_front and not point.maybe_on_front


def test_both_of_a_compared_pair_are_marked_in_the_leaderboard(three_seeds: Study) -> None:
    table = leaderboard_table(compared(three_seeds, "0.2", "0").board)
    column = table.columns.index("pair")
    assert [row[column].text for row in table.rows] == ["B", "-", "A"] and "place" not in table.columns


@pytest.mark.parametrize(
    ("worse", "relation"),
    [([97.0, 97.1, 97.05], "is worse"), ([99.05, 99.2, 99.3], "does not differ significantly")],
)
def test_a_single_other_variant_has_a_sentence_of_its_own(worse: list[float], relation: str) -> None:
    findings = analyze(study({"0": [99.1, 99.3, 99.2], "0.1": worse}), Options(), Path())
    assert findings.summary.endswith(f"; compared with it, the other variant {relation}")


@pytest.mark.parametrize(
    ("scores", "subject"),
    [
        ({"0": [99.2]}, "the variant has"), ({"0": [99.2], "0.1": [99.1]}, "every variant has"),
        ({"0": [99.2], "0.1": [99.1, 99.2]}, "1 of 2 variants has"),
    ],
)  # fmt: skip
def test_variants_with_one_seed_are_counted(scores: dict[str, list[float]], subject: str) -> None:
    notes = analyze(study(scores), Options(), Path()).notes
    assert f"{subject} one seed: Wilson's interval covers other images, not other seeds" in notes


@pytest.mark.parametrize(("seeds", "has_interval"), [(2, False), (9, False), (10, True)])
def test_below_10_pairs_there_is_neither_p_of_a_beats_b_nor_bouthilliers_rule(seeds: int, has_interval: bool) -> None:
    findings = compared(study({"0": draws(97, seeds, 1), "0.1": draws(99.3, seeds, 2)}), "0", "0.1")
    output = text(findings, "params")
    sentence = (
        f"P(A > B) = 0.00 (0.00 to 0.00), over {seeds} pairs of runs; the difference is significant and meaningful by"
        " the rule of Bouthillier et al., too"
    )
    assert (sentence in output) == has_interval == ("P(A > B)" in output)
    page = page_text("", None, [findings], "params")
    assert ("Bouthillier" in page) == has_interval == ("P(A &gt; B)" in page)


def test_without_shared_seeds_p_of_a_beats_b_counts_all_combinations() -> None:
    runs = [study_run(seed + 20 * value, 99.2 - value / 10 + seed / 100, model__dropout=value)
            for value in (0, 1) for seed in range(10 + 2 * value)]  # fmt: skip
    findings = compared(studies_of(runs)[0], "0", "1")
    assert findings.pair is not None
    assert "over 120 combinations of runs" in (improvement_sentence(findings.pair) or "")


def test_the_rule_of_bouthillier_is_not_a_second_verdict() -> None:
    scores = ({seed: 99.2 + 0.01 * (seed % 3) for seed in range(12)}, dict.fromkeys(range(12), 99.2))
    variants = [
        Variant(name, {"x": name}, {seed: study_run(seed, score) for seed, score in by_seed.items()})
        for name, by_seed in zip("ab", scores, strict=True)
    ]
    difference = compare(variants[0], variants[1], Study(variants, ["x"]))
    tied = replace(difference, p=0.5)
    assert tied.verdict == "tied" and tied.conclusion == "significant and meaningful"
    findings = compared(Study(variants, ["x"], {"x": ["a", "b"]}), "a", "b")
    assert findings.pair is not None
    sentence = improvement_sentence(replace(findings.pair, validation=tied))
    assert sentence is not None and "Bouthillier" not in sentence


def test_seeds_of_equal_accuracy_are_named_with_what_their_interval_does_not_say() -> None:
    equal = study({"0": [99.1, 99.1, 99.1], "0.1": [99.0, 99.2, 99.1], "0.2": [98.0, 98.0], "0.3": [97.0]})
    (note,) = [note for note in analyze(equal, Options(), Path()).notes if "same accuracy" in note]
    names = "3 of dropout=0, 2 of dropout=0.2"
    assert note == f"seeds gave the same accuracy ({names}): an interval of no width is chance, not certainty"
