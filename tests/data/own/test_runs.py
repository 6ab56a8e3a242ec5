"""Runs on data of a person's own: trained, resumed, restored, compared."""

from pathlib import Path

import pytest

import archsearch
from archsearch.errors import ConfigError
from archsearch.runs.prepare import prepare
from archsearch.sweep.opening import Datasets
from tests.data.own.conftest import WriteImages
from tests.support.requests import ask
from tests.support.runs import interrupt_in, result_in, train_in
from tests.support.sweeps import HERE, train_sweep

QUICK = ("model=session5_step1", "trainer.batch_size=8", "trainer.epochs=2", "tracking=none", "data.size=28")


def own(root: Path) -> tuple[str, ...]:
    return ("data=image_folder", f"data.root={root}", *QUICK)


def test_a_run_on_photographs_is_resumed_and_its_network_restored(workspace: Path, photographs: Path) -> None:
    folder = workspace / "run"
    folder.mkdir()
    interrupt_in(folder, *own(photographs))
    train_in(folder, f"resume={folder}")
    result = result_in(folder)
    assert result["state"] == "FINISHED" and result["data"]["name"] == "image_folder"
    run = archsearch.load(str(folder))
    assert isinstance(run, archsearch.Run)
    weight = next(run.network().parameters())
    assert weight.shape[1] == 3
    assert '"cats"' in (folder / "data.json").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=image_folder"], r"data.root: got '', must be the folder with a folder of images for each class"),
        (["data=arrays"], r"data.path: got null, must be a .npz file, or a folder"),
        (
            ["data=arrays", "data.path=x.npz", "+data.size=32"],
            r"data.size: got 32, must be null: data=arrays has images",
        ),
        (["data=mnist", "+data.channels=3"], r"data.channels: got 3, must be null: data=mnist has images of one"),
        (["data=mnist", "+data.path=x"], r"data.path: got 'x', must be left out: data.root names the folder"),
    ],
)
def test_settings_of_other_kinds_of_data_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(ask(*overrides, "tracking=none"))


def test_a_set_that_does_not_fit_into_memory_is_read_from_the_cache(
    workspace: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("archsearch.system.memory.available_memory", lambda: 1000)
    with caplog.at_level("INFO"):
        result = train_in(workspace / "run", *own(photographs))
    assert result["state"] == "FINISHED"
    assert "photographs does not fit into memory (1 MB): it is read from the cache" in caplog.text


def test_class_accuracy_and_imbalance_are_recorded(
    workspace: Path, photographs: Path, write_images: WriteImages, caplog: pytest.LogCaptureFixture
) -> None:
    write_images("photographs/eels", 40, size=(28, 28))
    with caplog.at_level("INFO"):
        result = train_in(workspace / "run", *own(photographs), "trainer.class_weights=balanced")
    assert "classes have from 8 (cats) to" in caplog.text
    for split, key in (("validation", "val"), ("test", "test")):
        accuracies = result["class_accuracy"][split]
        assert list(accuracies) == ["cats", "dogs", "eels"]
        assert result["final"][f"{key}/balanced_accuracy"] == pytest.approx(sum(accuracies.values()) / 3)


def test_a_sweep_says_what_is_left_out_and_that_classes_have_very_different_sizes(
    workspace: Path, photographs: Path, write_images: WriteImages
) -> None:
    write_images("photographs/eels", 40, size=(28, 28))
    (photographs / "eels" / "empty.png").touch()
    done = train_sweep(workspace, HERE, *own(photographs), "trainer.epochs=1", "seed=1,2", "tracking.log_model=false")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[1].startswith("WARNING: 1 of 71 images left out, because they cannot be read: eels/empty.png (empty)")
    assert len([line for line in lines if line.startswith("classes have from 10 (cats) to 34 (eels) images")]) == 1


def test_a_sweep_says_what_its_images_need(
    workspace: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del workspace
    monkeypatch.setattr("archsearch.system.memory._MUCH", 10_000)
    datasets = Datasets()
    datasets.find(prepare(ask(*own(photographs))).settings)
    with caplog.at_level("INFO"):
        datasets.announce()
    assert "photographs, which all runs share, needs" in caplog.text


def test_another_size_is_another_data_set(workspace: Path, photographs: Path, write_images: WriteImages) -> None:
    del workspace
    small, large = (prepare(ask(*own(photographs), f"data.size={size}")) for size in (28, 40))
    assert (small.plan.input_shape, large.plan.input_shape) == ((3, 28, 28), (3, 40, 40))
    assert len(small.data.info.classes) == 2 and small.plan.layers[-1].output == (2,)
    write_images("photographs/eels", 6, size=(28, 28))
    assert prepare(ask(*own(photographs))).plan.layers[-1].output == (3,)
