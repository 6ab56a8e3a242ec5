"""How runs are grouped into variants and studies, and how variants are labelled."""

from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import ReportError
from archsearch.report.findings import analyze
from archsearch.report.options import Options
from archsearch.report.page import page_text
from archsearch.report.separation import separated
from archsearch.report.sources import read_study_run
from archsearch.report.study import Study, StudyRun, studies_of
from archsearch.report.text import headline
from tests.support.studies import replicates, study, study_run, write_run


@pytest.fixture(scope="module")
def with_a_repeat() -> Study:
    """Two seeds of one variant; one seed of another, which was run twice."""
    (repeated,) = studies_of(
        [*replicates({"0.1": [99.2, 99.3]}), *replicates({"0": [99.1]}), *replicates({"0": [99.2]})]
    )
    return repeated


def test_seeds_of_one_configuration_are_one_variant(with_a_repeat: Study) -> None:
    assert [len(variant.runs) for variant in with_a_repeat.variants] == [2, 1]


def test_variants_are_labelled_by_the_settings_that_differ(with_a_repeat: Study) -> None:
    assert [variant.label for variant in with_a_repeat.variants] == ["dropout=0.1", "dropout=0"]
    assert with_a_repeat.factors == ["model.dropout"]


def test_of_repeated_runs_the_latest_counts(with_a_repeat: Study) -> None:
    assert with_a_repeat.repeats == 1 and with_a_repeat.variants[1].scores() == {1: 99.2}


def test_labels_are_as_short_as_possible() -> None:
    runs = [
        study_run(settings={"model": "a", "model.head.type": "gap", "model.blocks.c.channels": "8", "x": "1"}),
        study_run(settings={"model": "b", "model.head.type": "linear", "model.blocks.c.channels": "16", "x": "1"}),
        study_run(settings={"model": "b", "model.head.type": "linear", "model.blocks.c.channels": "16", "x": "2"}),
    ]
    (mixed,) = studies_of(runs)
    assert {variant.label for variant in mixed.variants} == {"model=a x=1", "model=b x=1", "model=b x=2"}


def test_a_configuration_under_two_names_is_one_variant() -> None:
    runs = [study_run(1, settings={"model": "a", "x": "1"}), study_run(2, settings={"model": "b", "x": "1"})]
    (only,) = studies_of(runs)
    (variant,) = only.variants
    assert variant.label == "a" and set(variant.runs) == {1, 2}


@pytest.mark.parametrize(
    "difference", [{"fingerprint": "other"}, {"data__split_seed": "1"}, {"validation": None, "test": 99.4}]
)
def test_runs_on_other_images_are_another_study(difference: dict[str, Any]) -> None:
    studies = studies_of([*replicates({"0": [99.1, 99.2]}), study_run(1, **difference)])
    assert [len(found.variants[0].runs) for found in studies] == [2, 1]


@pytest.mark.parametrize(
    ("more", "distinction", "reason"),
    [
        ({"fingerprint": "other"}, "images other", "their images differ"),
        ({"data__split_seed": "1"}, "data.split_seed=1", "different images are held out (data.split_seed)"),
        (
            {"data__validation": "99"},
            "data.validation=99",
            "different numbers of images are held out (data.validation)",
        ),
        ({"validation": None, "test": 99.4}, "ranked on test", "the others are ranked on the test set"),
    ],
)
def test_studies_of_one_data_set_say_what_separates_them(more: dict[str, Any], distinction: str, reason: str) -> None:
    runs = [*replicates({"0": [99.1, 99.2]}), study_run(1, **more), study_run(1, data="digits")]
    studies, (note,) = separated(studies_of(runs))
    assert note.startswith("the 2 studies of MNIST are not comparable: ") and note.endswith(reason)
    titles = [headline(analyze(found, Options(), Path())).partition(")")[0] for found in studies]
    assert f"MNIST ({distinction}" in titles and studies[2].distinction == ""
    assert separated(studies_of(runs[:2])) == (studies_of(runs[:2]), [])


def test_without_held_out_images_variants_are_ranked_on_the_test_set() -> None:
    (on_test,) = studies_of([study_run(1, None, test=99.4)])
    assert on_test.on_test and on_test.judged_on == "test" and on_test.variants[0].scores() == {1: 99.4}


def test_failed_seeds_are_counted_and_running_ones_are_not() -> None:
    failed = study_run(3, None, test=None, state="FAILED", model__dropout="0")
    running = study_run(4, None, test=None, state="RUNNING", model__dropout="0")
    (finished,) = studies_of([*replicates({"0": [99.1, 99.2]}), failed, running])
    (variant,) = finished.variants
    assert variant.failed == 1 and set(variant.runs) == {1, 2}


def test_another_order_of_blocks_is_another_variant() -> None:
    settings = {"model": "a", "model.blocks": "c1 c2", "model.blocks.c1.channels": "4"}
    runs = [study_run(1, settings=settings), study_run(1, settings={**settings, "model.blocks": "c2 c1"})]
    (moved,) = studies_of(runs)
    assert len(moved.variants) == 2 and moved.factors == ["model.blocks"]


def test_settings_of_a_sweep_that_are_no_mlflow_params_distinguish_variants(tmp_path: Path) -> None:
    values = [{"trainer.compile": value, "optimizer": "sgd", "seed": "1"} for value in ("true", "false")]
    runs = [read_study_run(write_run(tmp_path / varying["trainer.compile"]), varying) for varying in values]
    (compiled,) = studies_of([run for run in runs if run is not None])
    assert compiled.factors == ["trainer.compile"] and len(compiled.variants) == 2


def test_finalists_of_a_search_are_named_by_trial(tmp_path: Path) -> None:
    settings = {"12": ["optimizer.lr=0.1", "model.dropout=0"], "7": ["optimizer.lr=0.2", "model.dropout=0.1"]}
    runs = [
        read_study_run(write_run(tmp_path / trial, *overrides), {"trial": trial, "seed": "1"})
        for trial, overrides in settings.items()
    ]
    (finalists,) = studies_of([run for run in runs if run is not None])
    assert {variant.label for variant in finalists.variants} == {"trial=12", "trial=7"}
    assert list(finalists.factors) == ["trial"] and not any(finalists.confounded.values())


def custom(name: str, digest: str, seed: int = 1, **more: Any) -> StudyRun:
    settings = {"model": name, "model.network": name, "model.digest": digest, "optimizer.lr": more.pop("lr", "0.1")}
    return study_run(seed, 99.0, settings=settings, **more)


def labels_of(*runs: StudyRun) -> set[str]:
    (found,) = studies_of(runs)
    return {variant.label for variant in found.variants}


def test_networks_from_python_are_labelled_by_class_and_by_digest_only_where_needed() -> None:
    first, second = custom("MyNet", "d05eb6aa"), custom("MyNet", "d05eb7bb")
    assert labels_of(first) == {"MyNet"}
    assert labels_of(first, custom("Other", "d1111111")) == {"MyNet", "Other"}
    assert labels_of(first, second, custom("Other", "d1111111")) == {"MyNet d05eb6", "MyNet d05eb7", "Other"}
    assert labels_of(custom("MyNet", "d05eb6aa"), custom("MyNet", "d05eb6ab")) == {"MyNet d05eb6aa", "MyNet d05eb6ab"}
    assert labels_of(first, custom("MyNet", "d05eb6aa", lr="0.2")) == {"lr=0.1", "lr=0.2"}
    assert labels_of(first, study_run(1, settings={"model": "session4", "optimizer.lr": "0.1"})) == {
        "MyNet", "model=session4",
    }  # fmt: skip


def test_the_page_says_that_a_network_was_trained_from_python() -> None:
    (found,) = studies_of([custom("MyNet", "d05eb6aa")])
    assert "trained from Python" in page_text("", None, [analyze(found, Options(), Path())], "params")


def test_two_seeds_of_one_variant_are_not_compared() -> None:
    seeds = study({"0": [99.1, 99.3], "0.1": [99.2, 99.2]})
    names = tuple(run.run_id for run in seeds.variants[0].runs.values())
    with pytest.raises(ReportError, match="the better of two seeds is chance"):
        analyze(seeds, Options(compare=names), Path())
