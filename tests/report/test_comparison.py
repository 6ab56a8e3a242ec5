"""Two variants in every way: their architectures block by block, their predictions image by image."""

from math import isnan
from pathlib import Path

import numpy as np
import pytest

from archsearch.data.info import DATASETS
from archsearch.errors import ReportError
from archsearch.report.model_diff import model_diff
from archsearch.report.prediction_diff import prediction_diff
from archsearch.report.sources import trial_of
from archsearch.report.study import Variant
from tests.support.studies import write_run


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
    found = model_diff(a, b, DATASETS["digits"])
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
    found = prediction_diff(a, b, 10)
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
            prediction_diff(a, variant_of(folder), 10)
