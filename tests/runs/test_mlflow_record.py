"""The record in MLflow of a finished run, which agrees with its folder."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.data.catalogue import DATASETS
from archsearch.data.load import load
from archsearch.tracking.store import restored_mlflow
from tests.support.runs import RECIPE, RUN, isolated, mlflow_client, result_in, train_in

pytestmark = pytest.mark.e2e  # whole runs, in this process


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `RUN` was trained with `RECIPE`, and recorded with figures and model."""
    folder = tmp_path_factory.mktemp("recorded")
    with isolated(folder):
        train_in(RUN, *RECIPE)
    return folder


@pytest.fixture(scope="module")
def client(recorded: Path) -> Any:
    return mlflow_client(recorded)


@pytest.fixture(scope="module")
def result(recorded: Path) -> dict[str, Any]:
    return result_in(recorded / RUN)


@pytest.fixture(scope="module")
def record(client: Any, result: dict[str, Any]) -> Any:
    return client.get_run(result["run_id"])


def test_the_result_names_the_store_and_says_that_the_record_is_complete(
    recorded: Path, result: dict[str, Any]
) -> None:
    uri = f"sqlite:///{recorded}/outputs/mlflow.db"
    assert result["tracking"] == {"uri": uri, "experiment_id": "1", "complete": True, "trouble": None}


def test_params_are_the_settings_that_a_person_chose(record: Any) -> None:
    affine = {key: value for key, value in record.data.params.items() if key.startswith("augment.")}
    assert affine == {
        "augment.affine.degrees": "10.0",
        "augment.affine.translate": "0.1",
        "augment.affine.scale": "0.1",
    }
    assert {key: value for key, value in record.data.params.items() if not key.startswith("augment.")} == {
        "model": "session5_step1", "data": "digits", "augment": "affine", "data.split_seed": "0", "seed": "1",
        "model.dropout": "0.1", "model.width": "0.4", "model.blocks": "conv1 conv2 conv3 pool1 conv4 conv5 pool2",
        **{f"model.blocks.{name}.channels": "8" if name == "conv2" else "10" for name in
           ("conv1", "conv2", "conv3", "conv4", "conv5")},
        **{f"model.blocks.{name}.{key}": value for name in ("pool1", "pool2")
           for key, value in (("type", "pool"), ("pool", "avg"))},
        "model.head.type": "linear", "optimizer.type": "sgd", "optimizer.lr": "0.1",
        "optimizer.momentum": "0.9", "optimizer.nesterov": "true", "optimizer.weight_decay": "0.0",
        "optimizer.norm_lr_factor": "1.0", "optimizer.bias_lr_factor": "1.0", "averaging.type": "none",
        "init.first_conv": "torch", "init.convs": "torch", "trainer.label_smoothing": "0.0",
        "scheduler.type": "one_cycle", "scheduler.pct_start": "0.3", "scheduler.div_factor": "25.0",
        "scheduler.final_div_factor": "10000.0", "scheduler.anneal_strategy": "cos", "scheduler.cycle_momentum": "true",
        "trainer.epochs": "2", "trainer.batch_size": "64", "trainer.precision": "float32",
    }  # fmt: skip


def test_tags_have_state_data_and_provenance(record: Any, result: dict[str, Any]) -> None:
    tags = record.data.tags
    assert record.info.status == tags["state"] == "FINISHED"
    assert tags["data.fingerprint"] == result["data"]["fingerprint"]
    assert {"hardware", "versions.torch", "archsearch.version", "folder"} <= set(tags)


@pytest.mark.parametrize("key", ["train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr"])
def test_metrics_of_every_epoch_are_those_of_the_folder(client: Any, result: dict[str, Any], key: str) -> None:
    points = client.get_metric_history(result["run_id"], key)
    assert [(point.step, point.value) for point in points] == [(row["epoch"], row[key]) for row in result["history"]]


def test_final_metrics_are_those_of_the_folder(record: Any, result: dict[str, Any]) -> None:
    metrics = record.data.metrics
    assert metrics["test/accuracy"] == result["final"]["test/accuracy"]
    assert metrics["test/loss"] == result["final"]["test/loss"]
    assert metrics["params"] == result["params"]
    assert metrics["val/best_accuracy"] == result["best"]["val/accuracy"]
    assert metrics["best_epoch"] == result["best"]["epoch"]
    assert {"macs", "receptive_field", "epoch_seconds", "images_per_second"} <= set(metrics)


def test_the_data_set_is_an_input_of_the_run(record: Any) -> None:
    (dataset,) = record.inputs.dataset_inputs
    assert dataset.dataset.name == "scikit-learn digits"


def test_files_and_figures_are_artifacts(client: Any, result: dict[str, Any]) -> None:
    names = {artifact.path for artifact in client.list_artifacts(result["run_id"])}
    assert names >= {
        "config.yaml",
        "layers.txt",
        "network.svg",
        "curves.png",
        "confusion.png",
        "mistakes.png",
        "augmented.png",
        "predictions.csv",
    }


def test_the_logged_model_takes_raw_pixels_says_so_and_gives_the_predictions_of_the_folder(
    client: Any, recorded: Path, result: dict[str, Any]
) -> None:
    import mlflow

    (model,) = client.search_logged_models(["1"])
    assert model.source_run_id == result["run_id"]
    with isolated(recorded), restored_mlflow():
        mlflow.set_tracking_uri(result["tracking"]["uri"])
        loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    digits = load(DATASETS["digits"], Path("unused"))
    predictions = np.asarray(loaded.predict(digits.test_images[:, 0])).argmax(axis=1)
    with (recorded / RUN / "predictions.csv").open() as file:
        expected = [int(row["prediction"]) for row in csv.DictReader(file)]
    (pixels,) = loaded.metadata.signature.inputs.to_dict()
    assert pixels["tensor-spec"] == {"dtype": "uint8", "shape": (-1, 28, 28)}
    np.testing.assert_array_equal(loaded.input_example, digits.test_images[[0, -1], 0])
    assert loaded.metadata.metadata == {"class_names": list(digits.info.classes)}
    assert predictions.tolist() == expected
