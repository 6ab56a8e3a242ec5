"""A run in a real store: created, reopened, and lost with its database."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from archsearch.errors import TrackingError
from archsearch.tracking.mlflow_params import run_number
from archsearch.tracking.mlflow_recorder import MlflowRecorder
from archsearch.tracking.models import ModelFiles, log_model
from archsearch.tracking.recorder import DataInfo, RunInfo
from archsearch.tracking.store import Store, import_mlflow, open_experiment, restored_mlflow

import_mlflow()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A real store."""
    return Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")


INFO = RunInfo("a run", {"model.dropout": 0, "nesterov": True}, {"sweep.run": "3"}, DataInfo("digits", "abc", "digits"))


def stored(store: Store, run_id: str) -> Any:
    client, _ = open_experiment(store, "archsearch")
    return client.get_run(run_id)


def test_a_new_run_has_name_params_tags_and_data(database: Store) -> None:
    run = stored(database, MlflowRecorder.start(database, "archsearch", INFO).run_id)
    assert (run.info.run_name, run.info.status) == ("a run", "RUNNING")
    assert run.data.params == {"model.dropout": "0", "nesterov": "true"}
    assert (run.data.tags["state"], run.data.tags["sweep.run"]) == ("RUNNING", "3")
    assert run.inputs.dataset_inputs[0].dataset.digest == "abc"


def test_a_reopened_run_is_running_again_without_its_reason(database: Store) -> None:
    recorder = MlflowRecorder.start(database, "archsearch", INFO)
    recorder.finish("KILLED", "interrupted")
    assert stored(database, recorder.run_id).data.tags["reason"] == "interrupted"
    MlflowRecorder.start(database, "archsearch", INFO, recorder.run_id)
    run = stored(database, recorder.run_id)
    assert run.info.status == "RUNNING" and "reason" not in run.data.tags


def test_a_reopened_run_keeps_its_params_which_mlflow_does_not_let_change(database: Store) -> None:
    recorder = MlflowRecorder.start(database, "archsearch", INFO)
    changed = RunInfo("a run", {"model.dropout": 0.0, "seed": 1}, {})
    MlflowRecorder.start(database, "archsearch", changed, recorder.run_id)
    assert stored(database, recorder.run_id).data.params == {"model.dropout": "0", "nesterov": "true", "seed": "1"}


def test_a_run_that_the_store_does_not_have_is_created(database: Store) -> None:
    recorder = MlflowRecorder.start(database, "archsearch", INFO, "0" * 32)
    assert recorder.run_id != "0" * 32
    assert stored(database, recorder.run_id).info.status == "RUNNING"


def test_a_run_that_the_store_refuses_is_not_left_running(database: Store) -> None:
    with pytest.raises(TrackingError, match="refuses the run"):
        MlflowRecorder.start(database, "refusals", RunInfo("a run", {"not/a=name?": 1}, {}))
    client, experiment = open_experiment(database, "refusals")
    assert [run.info.status for run in client.search_runs([experiment])] == ["FAILED"]


def test_a_run_that_the_store_refuses_once_is_tried_again(database: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when two runs insert the same data set at the same time."""
    log_inputs, refusals = MlflowClient.log_inputs, ["UNIQUE constraint failed: datasets.experiment_id"]

    def refuse_once(client: MlflowClient, *arguments: Any) -> None:
        if refusals:
            raise MlflowException(refusals.pop())
        log_inputs(client, *arguments)

    monkeypatch.setattr(MlflowClient, "log_inputs", refuse_once)
    run = stored(database, MlflowRecorder.start(database, "archsearch", INFO).run_id)
    assert not refusals and run.info.status == "RUNNING"
    assert run.inputs.dataset_inputs[0].dataset.digest == "abc"


def test_a_file_that_does_not_exist_does_not_hold_back_the_rest(database: Store, tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    recorder = MlflowRecorder.start(database, "archsearch", INFO)
    recorder.log_artifacts([tmp_path / "missing.txt", tmp_path / "x.txt"])
    recorder.finish("FINISHED")
    assert "missing.txt" in recorder.describe()["trouble"]
    client, _ = open_experiment(database, "archsearch")
    assert [artifact.path for artifact in client.list_artifacts(recorder.run_id)] == ["x.txt"]
    assert client.get_run(recorder.run_id).info.status == "FINISHED"


MODEL = ModelFiles(
    "net_1", {"__init__.py": ""}, "net.pt2", b"weights", ("a",), ("torch",),
    np.zeros((2, 4, 4), np.uint8), np.zeros((2, 1), np.float32),
)  # fmt: skip


def test_a_model_is_logged_without_changing_the_runs_state_or_mlflows_store(database: Store) -> None:
    before = mlflow.get_tracking_uri()
    recorder = MlflowRecorder.start(database, "archsearch", INFO)
    recorder.log_metrics({"test/accuracy": 90.0}, 0, 1000)
    recorder.log_model(MODEL)
    assert stored(database, recorder.run_id).info.status == "RUNNING"
    assert mlflow.get_tracking_uri() == before and mlflow.active_run() is None
    recorder.finish("FINISHED")
    assert recorder.describe()["complete"] is True
    client, experiment = open_experiment(database, "archsearch")
    (model,) = [model for model in client.search_logged_models([experiment]) if model.source_run_id == recorder.run_id]
    assert (model.status, [metric.key for metric in model.metrics or []]) == ("READY", ["test/accuracy"])


def test_a_model_that_is_logged_later_changes_neither_when_its_run_ended_nor_the_active_run(database: Store) -> None:
    recorder = MlflowRecorder.start(database, "other", INFO)
    recorder.finish("FINISHED")
    before = stored(database, recorder.run_id).info
    with restored_mlflow():
        mlflow.set_tracking_uri(database.uri)
        with mlflow.start_run():  # a notebook may have one
            model_id = log_model(database, recorder.run_id, MODEL)
    run = stored(database, recorder.run_id)
    assert (run.info.status, run.info.end_time) == ("FINISHED", before.end_time)
    assert [output.model_id for output in run.outputs.model_outputs] == [model_id]
    model = MlflowClient(database.uri).get_logged_model(model_id)
    assert (model.experiment_id, model.status, model.params) == (before.experiment_id, "READY", run.data.params)


def test_a_model_whose_files_cannot_be_written_does_not_hold_back_the_rest(
    database: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    recorder = MlflowRecorder.start(database, "archsearch", INFO)
    recorder.log_model(MODEL)
    recorder.finish("FINISHED")
    assert "WARNING: MLflow rejected a part of the record" in caplog.text and str(tmp_path / "missing") in caplog.text
    assert recorder.describe()["complete"] is False
    assert stored(database, recorder.run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("tags", "number"), [({"sweep.run": "3"}, 3), ({"sweep.variant": "4"}, 4), ({}, None), ({"sweep.run": "x"}, None)]
)
def test_a_runs_number_is_read_from_its_tags_in_older_stores_too(tags: dict[str, str], number: int | None) -> None:
    assert run_number(tags) == number


def own_store(folder: Path) -> Store:
    return Store(f"sqlite:///{folder}/mlflow.db")


def delete(store: Store) -> None:
    assert store.database is not None
    for companion in ("", "-wal", "-shm"):
        Path(f"{store.database}{companion}").unlink(missing_ok=True)


def test_a_database_that_is_deleted_during_the_run_leaves_the_record_incomplete(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = MlflowRecorder.start(own_store(tmp_path), "archsearch", INFO, patience=60)
    recorder.log_metrics({"val/accuracy": 90.0}, 1, 1000)
    delete(recorder.store)
    recorder.finish("FINISHED")  # without waiting for it to come back
    assert recorder.describe()["complete"] is False
    assert "was deleted or replaced" in recorder.describe()["trouble"]
    assert "was deleted or replaced" in caplog.text
    assert recorder.store.database is not None and not recorder.store.database.exists()


def test_a_database_that_is_deleted_after_the_last_write_is_noticed(tmp_path: Path) -> None:
    recorder = MlflowRecorder.start(own_store(tmp_path), "archsearch", INFO)
    recorder.finish("FINISHED")
    assert recorder.describe()["complete"] is True
    delete(recorder.store)
    assert recorder.describe()["complete"] is False


def test_a_run_after_the_database_was_deleted_is_recorded_in_a_new_one(tmp_path: Path) -> None:
    first = MlflowRecorder.start(own_store(tmp_path), "archsearch", INFO)
    delete(first.store)
    second = MlflowRecorder.start(own_store(tmp_path), "archsearch", INFO, first.run_id)
    second.finish("FINISHED")
    assert second.describe()["complete"] is True and second.run_id != first.run_id
    assert stored(second.store, second.run_id).info.status == "FINISHED"
    first.finish("FINISHED")
    assert first.describe()["complete"] is False


def test_a_database_that_another_process_has_replaced_is_opened_again(tmp_path: Path) -> None:
    first = MlflowRecorder.start(own_store(tmp_path), "archsearch", INFO)
    (tmp_path / "other").mkdir()
    open_experiment(own_store(tmp_path / "other"), "archsearch")
    delete(first.store)
    (tmp_path / "other" / "mlflow.db").rename(tmp_path / "mlflow.db")
    client, experiment = open_experiment(first.store, "archsearch")
    assert not client.search_runs([experiment])


def test_a_run_that_was_deleted_in_mlflow_is_created_anew(database: Store) -> None:
    recorder = MlflowRecorder.start(database, "archsearch", INFO)
    recorder.discard()
    again = MlflowRecorder.start(database, "archsearch", INFO, recorder.run_id)
    assert again.run_id != recorder.run_id and stored(database, again.run_id).info.status == "RUNNING"


IN_A_FOLDER = RunInfo("a run", {"seed": 1}, {"folder": "/somewhere/a", "hardware": "this machine"})


def test_a_resumed_run_continues_the_running_one_of_its_folder_that_no_file_names(database: Store) -> None:
    lost = MlflowRecorder.start(database, "archsearch", IN_A_FOLDER)
    assert MlflowRecorder.start(database, "archsearch", IN_A_FOLDER, "0" * 32).run_id == lost.run_id


@pytest.mark.parametrize(
    ("change", "metrics"),
    [({"folder": "/elsewhere"}, {}), ({"hardware": "another"}, {}), ({}, {"val/accuracy": 90.0})],
    ids=["another folder", "another machine", "with metrics"],
)
def test_a_resumed_run_leaves_other_running_runs_alone(
    change: dict[str, str], metrics: dict[str, float], database: Store
) -> None:
    tags = {"folder": "/somewhere/b", "hardware": "this machine"}
    other = MlflowRecorder.start(database, "archsearch", RunInfo("a run", {}, tags | change))
    other.log_metrics(metrics, 1, 1000)
    resumed = MlflowRecorder.start(database, "archsearch", RunInfo("a run", {}, tags), "0" * 32)
    assert resumed.run_id != other.run_id
    resumed.finish("FINISHED")


def test_control_characters_are_recorded_as_escapes(database: Store) -> None:
    info = RunInfo("a\x07b", {"model.type": "x\x00y\x1b[31m"}, {"state.of": "\ud800"})
    run = stored(database, MlflowRecorder.start(database, "archsearch", info).run_id)
    assert run.info.run_name == "a\\x07b"
    assert run.data.params == {"model.type": "x\\x00y\\x1b[31m"}
    assert run.data.tags["state.of"] == "\\ud800"
