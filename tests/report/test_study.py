"""Which runs a report compares: studies, variants, and how both are named."""

from pathlib import Path

import pytest

from archsearch.errors import ReportError
from archsearch.report.findings import find
from archsearch.report.naming import find_variant
from archsearch.report.options import Options
from archsearch.report.sources import trial_of
from archsearch.report.study import studies_of
from tests.support.studies import study, trial, variants, write_run


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
        find(found, Options(compare=names), Path())
