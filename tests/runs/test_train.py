"""A whole run in this process: what it leaves on disk and in MLflow, and that both tell the same."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from archsearch.errors import ConfigError, DataError, NonFiniteLossError, ResumeError
from archsearch.runs.prepare import prepare
from archsearch.runs.train import train_run
from archsearch.tracking.store import import_mlflow
from tests.support.requests import QUICK, ask

UNTRACKED = (*QUICK, "tracking=none")


def train(folder: str, *overrides: str) -> dict[str, Any]:
    path = Path("outputs/runs") / folder
    path.mkdir(parents=True, exist_ok=True)
    train_run(prepare(ask(*overrides)), path)
    content: dict[str, Any] = json.loads((path / "result.json").read_text())
    return content


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in result.items() if key in ("final", "best", "params", "data", "state")}
    return kept | {"history": [{k: v for k, v in row.items() if k != "seconds"} for row in result["history"]]}


@pytest.mark.usefixtures("workspace")
def test_what_a_run_leaves_on_disk() -> None:
    result = train("a", *UNTRACKED)
    folder = Path("outputs/runs/a")
    assert sorted(path.name for path in folder.glob("[!.]*")) == [
        "checkpoint.pt", "config.yaml", "confusion.png", "curves.png", "layers.txt", "mistakes.png", "predictions.csv",
        "result.json",
    ]  # fmt: skip
    assert (result["state"], result["epochs_trained"], result["reason"]) == ("FINISHED", 2, None)
    assert result["final"]["epoch"] == 2 and result["best"]["selected_on"] == "validation"
    assert result["data"] == {"name": "digits", "fingerprint": result["data"]["fingerprint"], "fallback": None}
    rows = predictions(folder)
    hits = sum(row["label"] == row["prediction"] for row in rows)
    assert len(rows) == 297 and result["final"]["test/accuracy"] == pytest.approx(100 * hits / 297)
    assert [int(row["index"]) for row in rows] == list(range(297))
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["width"] == 0.4
    assert "Total params" in (folder / "layers.txt").read_text()
    for picture in ("curves", "confusion", "mistakes"):
        assert (folder / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("workspace")
def test_same_command_same_numbers() -> None:
    first, second = train("a", *UNTRACKED, "model.dropout=0.1"), train("b", *UNTRACKED, "model.dropout=0.1")
    assert without_times(first) == without_times(second)
    assert Path("outputs/runs/a/predictions.csv").read_text() == Path("outputs/runs/b/predictions.csv").read_text()


@pytest.mark.usefixtures("workspace")
def test_the_references_protocol_is_labelled_as_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    logging.getLogger("archsearch").addHandler(handler := logging.StreamHandler())
    logging.getLogger("archsearch").setLevel(logging.INFO)
    try:
        result = train("a", *UNTRACKED, "data.validation=0", "trainer.test_every_epoch=true")
    finally:
        logging.getLogger("archsearch").removeHandler(handler)
    assert result["best"]["selected_on"] == "test" and "val/accuracy" not in result["final"]
    assert result["history"][-1]["test/accuracy"] == result["final"]["test/accuracy"]
    shown = capsys.readouterr().err
    assert "best epoch chosen on the TEST set: optimistic" in shown
    assert "Train set: Average loss: " in shown and "/1500 (" in shown and "Test set: Average loss: " in shown


@pytest.mark.usefixtures("workspace")
def test_without_a_validation_set_nothing_is_chosen() -> None:
    result = train("a", *UNTRACKED, "data.validation=0")
    assert result["best"] is None and result["final"]["test/accuracy"] > 0


def stop_after(epoch: int, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Let a run be stopped right after `epoch` epochs, as Ctrl-C would."""
    import archsearch.runs.train as module
    from archsearch.runs.console import epoch_line as real

    def line(metrics: Any, epochs: int) -> str:
        if metrics.epoch == epoch:
            raise error
        return real(metrics, epochs)

    monkeypatch.setattr(module, "epoch_line", line)


@pytest.mark.usefixtures("workspace")
def test_an_interrupted_run_continues_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = (*UNTRACKED, "trainer.epochs=3", "model.dropout=0.1", "augment=affine")
    whole = train("whole", *overrides)
    with monkeypatch.context() as patch:
        stop_after(2, patch, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train("part", *overrides)
    killed = json.loads(Path("outputs/runs/part/result.json").read_text())
    assert (killed["state"], killed["epochs_trained"], killed["final"].get("test/accuracy")) == ("KILLED", 2, None)
    resumed = train("part", f"resume='{killed['run_id'][:8]}'")  # quoted: an id can look like a number
    assert resumed["run_id"] == killed["run_id"] and resumed["name"] == whole["name"]
    assert without_times(resumed) == without_times(whole)
    with pytest.raises(ResumeError, match="is finished, after 3 epochs"):
        prepare(ask("resume=last"))


@pytest.mark.usefixtures("workspace")
def test_resuming_refuses_other_settings_and_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(1, patch, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train("part", *UNTRACKED)
    with pytest.raises(ResumeError, match=r"leave out seed=2 ~model.blocks.conv2"):
        prepare(ask("resume=last", "seed=2", "~model.blocks.conv2"))
    experiment = prepare(ask("resume=last", "data.root=elsewhere"))
    assert experiment.settings.data.root == "elsewhere"
    from archsearch.data import load

    real = load._digits
    monkeypatch.setattr(load, "_digits", lambda info: tuple(array[::-1] for array in real(info)))
    with pytest.raises(ResumeError, match="holds other data than the run was started with"):
        train_run(experiment, Path("outputs/runs/part"))


@pytest.mark.usefixtures("workspace")
def test_a_run_that_diverges_says_so() -> None:
    with pytest.raises(NonFiniteLossError):
        train("a", *UNTRACKED, "optimizer.lr=1e18", "scheduler=constant")
    result = json.loads(Path("outputs/runs/a/result.json").read_text())
    assert result["state"] == "FAILED" and "the training loss became" in result["reason"]


@pytest.mark.usefixtures("workspace")
def test_nothing_is_left_by_what_cannot_start() -> None:
    for overrides, error in (
        (("model.width=-1",), ConfigError),
        (("data=kmnist", "data.root=nowhere"), DataError),
    ):
        with pytest.raises(error):
            prepare(ask(*UNTRACKED[1:], *overrides))
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("workspace")
def test_auto_on_digits_is_said_loudly(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    result = train("a", *UNTRACKED[1:], "data=auto")
    assert result["data"]["name"] == "digits" and "MNIST is not on disk" in result["data"]["fallback"]
    assert "Training on scikit-learn digits instead" in caplog.text


@pytest.mark.usefixtures("workspace")
def test_what_a_run_leaves_in_mlflow() -> None:
    result = train("a", *QUICK, "model.blocks.conv2.channels=8")
    import_mlflow()
    import mlflow
    from mlflow import MlflowClient

    uri = f"sqlite:///{Path('outputs/mlflow.db').absolute()}"
    assert result["tracking"] == {"uri": uri, "experiment_id": "1", "complete": True, "trouble": None}
    client = MlflowClient(uri)
    record = client.get_run(result["run_id"])
    assert record.info.status == "FINISHED"
    assert record.data.params == {
        "model": "session5_step1", "data": "digits", "data.split_seed": "0", "seed": "1", "model.dropout": "0",
        "model.width": "0.4", "model.blocks": "conv1 conv2 conv3 pool1 conv4 conv5 pool2",
        **{f"model.blocks.{name}.channels": "8" if name == "conv2" else "10" for name in
           ("conv1", "conv2", "conv3", "conv4", "conv5")},
        **{f"model.blocks.{name}.{key}": value for name in ("pool1", "pool2")
           for key, value in (("type", "pool"), ("pool", "avg"))},
        "model.head.type": "linear", "augment.type": "none", "optimizer.type": "sgd", "optimizer.lr": "0.1",
        "optimizer.momentum": "0.9", "optimizer.nesterov": "true", "optimizer.weight_decay": "0.0",
        "optimizer.norm_lr_factor": "1.0", "optimizer.bias_lr_factor": "1.0", "averaging.type": "none",
        "init.first_conv": "torch", "init.convs": "torch", "trainer.label_smoothing": "0.0",
        "scheduler.type": "one_cycle", "scheduler.pct_start": "0.3", "scheduler.div_factor": "25.0",
        "scheduler.final_div_factor": "10000.0", "scheduler.anneal_strategy": "cos", "scheduler.cycle_momentum": "true",
        "trainer.epochs": "2", "trainer.batch_size": "64", "trainer.precision": "float32",
    }  # fmt: skip
    tags = record.data.tags
    assert tags["state"] == "FINISHED" and tags["data.fingerprint"] == result["data"]["fingerprint"]
    assert {"hardware", "versions.torch", "archsearch.version", "folder"} <= set(tags)
    for key in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"):
        logged = client.get_metric_history(result["run_id"], key)
        assert [point.step for point in logged] == [1, 2]
        assert [point.value for point in logged] == [row[key] for row in result["history"]]
    assert record.data.metrics["test/accuracy"] == result["final"]["test/accuracy"]
    assert record.data.metrics["params"] == result["params"]
    assert {"macs", "receptive_field", "epoch_seconds", "images_per_second", "test/loss"} <= set(record.data.metrics)
    assert record.data.metrics["val/best_accuracy"] == result["best"]["val/accuracy"]
    assert record.data.metrics["best_epoch"] == result["best"]["epoch"]
    assert record.inputs is not None
    (dataset,) = record.inputs.dataset_inputs
    assert dataset.dataset.name == "scikit-learn digits"
    names = {artifact.path for artifact in client.list_artifacts(result["run_id"])}
    assert names >= {"config.yaml", "layers.txt", "curves.png", "confusion.png", "mistakes.png", "predictions.csv"}

    (model,) = client.search_logged_models(["1"])
    assert model.source_run_id == result["run_id"]
    mlflow.set_tracking_uri(uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    assert loaded.metadata.signature is not None
    from archsearch.data.info import DATASETS
    from archsearch.data.load import load

    digits = load(DATASETS["digits"], Path("unused"))
    pixels = (digits.test_images.astype(np.float32) / 255 - digits.info.mean) / digits.info.std
    said = np.asarray(loaded.predict(pixels.astype(np.float32))).argmax(axis=1)
    stored = [int(row["prediction"]) for row in predictions(Path("outputs/runs/a"))]
    assert said.tolist() == stored
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("workspace")
def test_networks_whose_evaluation_is_no_number_fail() -> None:
    with pytest.raises(NonFiniteLossError, match="the evaluated loss became nan after epoch 1"):
        train("a", *UNTRACKED, "trainer.epochs=1", "trainer.batch_size=1250", "optimizer.lr=1e30", "scheduler=constant")
    result = json.loads(Path("outputs/runs/a/result.json").read_text())
    assert result["state"] == "FAILED" and result["epochs_trained"] == 0


@pytest.mark.usefixtures("workspace")
def test_two_processes_cannot_continue_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(1, patch, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train("a", *UNTRACKED)
    from filelock import FileLock

    lock = FileLock("outputs/runs/a/.lock", is_singleton=False)
    with lock, pytest.raises(ResumeError, match="another process is training the run"):
        train_run(prepare(ask("resume=last")), Path("outputs/runs/a"))


@pytest.mark.usefixtures("workspace")
def test_a_part_that_mlflow_refuses_holds_nothing_else_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import_mlflow()
    import mlflow

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("the artifact store says no")

    monkeypatch.setattr(mlflow.pytorch, "log_model", refuse)
    result = train("a", *QUICK, "trainer.epochs=1")
    assert result["state"] == "FINISHED"
    assert result["tracking"]["complete"] is False and "the artifact store says no" in result["tracking"]["trouble"]
    client = mlflow.MlflowClient(result["tracking"]["uri"])
    assert client.get_run(result["run_id"]).info.status == "FINISHED"


@pytest.mark.usefixtures("workspace")
def test_a_run_without_tracking_can_be_continued_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(1, patch, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            train("a", *UNTRACKED)
    result = train("a", "resume=last", "tracking=mlflow", "tracking.log_model=false")
    import_mlflow()
    from mlflow import MlflowClient

    client = MlflowClient(result["tracking"]["uri"])
    steps = [point.step for point in client.get_metric_history(result["run_id"], "val/loss")]
    assert steps == [1, 2] and client.get_run(result["run_id"]).info.status == "FINISHED"
