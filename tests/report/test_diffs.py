"""Two variants in detail: architectures block by block, predictions image by image."""

from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.data.catalogue import DATASETS
from archsearch.errors import ReportError
from archsearch.report.findings import analyze
from archsearch.report.model_diff import BlockDiff, ModelDiff, model_diff
from archsearch.report.options import Options
from archsearch.report.prediction_diff import PredictionDiff, confusion_of, prediction_diff
from archsearch.report.sources import read_study_run
from archsearch.report.study import Variant, studies_of
from tests.support.studies import write_run


@pytest.fixture(scope="module")
def architectures(tmp_path_factory: pytest.TempPathFactory) -> ModelDiff:
    """session4, and session4 with a block removed, one added, one changed and another head."""
    folder = tmp_path_factory.mktemp("architectures")
    a = read_study_run(write_run(folder / "a", "model=session4"))
    b = read_study_run(
        write_run(
            folder / "b", "model=session4", "model.head.type=gap", "model.blocks.conv3.channels=16",
            "~model.blocks.trans2", "+model.blocks.extra={channels: 8, padding: same}", "optimizer.lr=0.05",
            "++model.head.dropout=0.1",
        )
    )  # fmt: skip
    assert a is not None and b is not None
    diff = model_diff(a, b, DATASETS["digits"])
    assert diff is not None
    return diff


def block(diff: ModelDiff, name: str) -> BlockDiff:
    return next(block for block in diff.blocks if block.name == name)


def test_blocks_of_both_are_listed_in_order(architectures: ModelDiff) -> None:
    names = [block.name for block in architectures.blocks]
    assert names == ["conv1", "conv2", "conv3", "trans1", "conv4", "conv5", "trans2", "extra", "head"]


def test_an_unchanged_block_is_the_same(architectures: ModelDiff) -> None:
    conv1 = block(architectures, "conv1")
    assert conv1.status == "same" and conv1.change("params") == 0


def test_a_changed_setting_is_listed_with_its_cost(architectures: ModelDiff) -> None:
    conv3 = block(architectures, "conv3")
    assert conv3.changes == [("channels", "24", "16")] and conv3.change("params") == -8 * (12 * 9 + 3)
    assert block(architectures, "head").changes == [("type", "linear", "gap"), ("dropout", "0.0", "0.1")]


def test_removed_and_added_blocks_are_recognized(architectures: ModelDiff) -> None:
    assert block(architectures, "trans2").status == "only in A"
    assert block(architectures, "trans2").change("receptive_field") < 0
    assert block(architectures, "extra").status == "only in B"


def test_the_changes_of_all_blocks_add_up(architectures: ModelDiff) -> None:
    a, b = architectures.a, architectures.b
    assert sum(block.change("params") for block in architectures.blocks) == b.params - a.params
    assert sum(block.change("macs") for block in architectures.blocks) == b.macs - a.macs


def test_settings_outside_of_the_model_are_listed_apart(architectures: ModelDiff) -> None:
    assert architectures.other == [("optimizer.lr", "0.1", "0.05")]


def variant_of(*folders: Path) -> Variant:
    runs = [read_study_run(folder) for folder in folders]
    return Variant(folders[0].name, {}, {run.seed: run for run in runs if run is not None})


def correct_except(*images: int) -> list[bool]:
    return [image not in images for image in range(40)]


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> PredictionDiff:
    """Two networks of A, wrong on image 3 and on images 3 and 4, against one of B, wrong on images 5 to 7."""
    folder = tmp_path_factory.mktemp("predictions")
    a = variant_of(
        write_run(folder / "a1", right=correct_except(3)), write_run(folder / "a2", seed=2, right=correct_except(3, 4))
    )
    return prediction_diff(a, variant_of(write_run(folder / "b1", right=correct_except(5, 6, 7))), 10)


def test_networks_of_equal_seed_are_compared_by_mcnemars_test(predictions: PredictionDiff) -> None:
    (test,) = predictions.tests
    assert (test.seeds, test.only_a, test.only_b) == ((1, 1), 3, 1) and test.p == pytest.approx(2 * 5 / 16)


def test_images_that_only_one_variant_classifies_correctly_are_found(predictions: PredictionDiff) -> None:
    assert predictions.only("A", 9) == [5, 6, 7]
    assert predictions.only("B", 9) == [3, 4] and predictions.only("B", 1) == [3]
    assert predictions.usual_mistake("B", 5) == 6


def test_confusion_is_the_difference_of_mean_confusion_matrices(predictions: PredictionDiff) -> None:
    confusion = predictions.confusion
    assert confusion[5, 6] == -1 and confusion[3, 4] == 1 and confusion[4, 5] == 0.5 and np.sum(confusion) == 0


def test_the_difference_in_accuracy_has_an_interval_over_images(predictions: PredictionDiff) -> None:
    assert predictions.over_images.value == pytest.approx(100 * (3 - 1.5) / 40)
    assert not isnan(predictions.over_images.low)


@pytest.fixture(scope="module")
def twenty_images(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    return variant_of(write_run(tmp_path_factory.mktemp("twenty") / "a", right=[True] * 20))


def test_a_run_without_predictions_is_refused(twenty_images: Variant, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"has no predictions\.csv"):
        prediction_diff(twenty_images, variant_of(write_run(tmp_path / "b")), 10)


def test_predictions_for_other_images_are_refused(twenty_images: Variant, tmp_path: Path) -> None:
    b = write_run(tmp_path / "b", right=[True] * 20)
    with_other_labels(b)
    with pytest.raises(ReportError, match="a and b were not tested on the same images"):
        prediction_diff(twenty_images, variant_of(b), 10)


def with_other_labels(folder: Path) -> None:
    path = folder / "predictions.csv"
    path.write_text(path.read_text().replace("0,0,0,", "0,1,1,"))


def test_incomplete_predictions_are_named(twenty_images: Variant, tmp_path: Path) -> None:
    short = write_run(tmp_path / "b", right=[True] * 10)
    with pytest.raises(ReportError, match=r"b/predictions\.csv is incomplete: it has 10 of 20 test images"):
        prediction_diff(twenty_images, variant_of(short), 10)
    with pytest.raises(ReportError, match=r"b/predictions\.csv is incomplete: it has 10 of 297 test images"):
        confusion_of(variant_of(short), 10, 297)
    seeds = variant_of(write_run(tmp_path / "c", seed=2, right=[True] * 20), short)
    with pytest.raises(ReportError, match=r"b/predictions\.csv is incomplete: it has 10 of 20 test images"):
        confusion_of(seeds, 10)


def test_seeds_with_other_labels_have_no_confusion_matrix_but_a_note(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / f"r{seed}", seed=seed, right=[True] * 297) for seed in (1, 2, 3)]
    with_other_labels(folders[1])
    with pytest.raises(ReportError, match=r"r2/predictions\.csv has other labels than those of other seeds of r1"):
        confusion_of(variant_of(*folders), 10)
    (study,) = studies_of([run for folder in folders if (run := read_study_run(folder)) is not None])
    findings = analyze(study, Options(), tmp_path)
    assert findings.confusion is None
    (note,) = [note for note in findings.notes if "are not shown" in note]
    assert "r2/predictions.csv has other labels" in note


def test_the_predictions_of_each_run_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [write_run(tmp_path / "a", right=[True] * 297)]
    folders.append(write_run(tmp_path / "b", "model.dropout=0.5", right=[False] * 297))
    read: list[str] = []
    loadtxt = np.loadtxt

    def counted(file: Any, **words: Any) -> Any:
        read.append(file.name)
        return loadtxt(file, **words)

    monkeypatch.setattr(np, "loadtxt", counted)
    (study,) = studies_of([run for folder in folders if (run := read_study_run(folder)) is not None])
    findings = analyze(study, Options(), tmp_path)
    assert findings.confusion is not None and findings.pair is not None
    paths = [str(folder / "predictions.csv") for folder in folders]
    assert sorted(path for path in read if path.endswith("predictions.csv")) == paths  # others are the data's
    assert np.array_equal(findings.confusion, confusion_of(findings.pair.a, 10))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("0,1,x,0.5", "invalid predictions"),
        ("7,1,1,0.5", "in order"),
        ("0,1,10,0.5", "must be in 0 to 9"),
        ("", "the file is empty"),
        ("index", "must have the columns index, label, prediction"),
        ("\n", "has no predictions"),
    ],
)
def test_damaged_predictions_are_refused(twenty_images: Variant, tmp_path: Path, row: str, reason: str) -> None:
    folder = write_run(tmp_path / "b")
    heading = "" if row in ("", "index") else "index,label,prediction,confidence\n"
    (folder / "predictions.csv").write_text(f"{heading}{row}\n" if row else "")
    with pytest.raises(ReportError, match=reason):
        prediction_diff(twenty_images, variant_of(folder), 10)
