"""Recording a run in MLflow: what is sent when, and what happens while the store is unreachable."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from archsearch.errors import TrackingError
from archsearch.tracking.mlflow_params import run_number
from archsearch.tracking.mlflow_recorder import MlflowRecorder
from archsearch.tracking.recorder import DataInfo, RunInfo
from archsearch.tracking.store import Store, import_mlflow, open_experiment

import_mlflow()


@dataclass
class FakeClient:
    """An MLflow client that lists its successful writes, and fails while `error` is set."""

    writes: list[str] = field(default_factory=list)
    attempts: int = 0
    error: Exception | None = None

    def log_batch(self, run_id: str, metrics: Any = (), tags: Any = ()) -> None:
        self._write(" ".join([*(f"{metric.key}@{metric.step}" for metric in metrics), *(tag.key for tag in tags)]))

    def log_artifact(self, run_id: str, path: str) -> None:
        self._write(path)

    def set_terminated(self, run_id: str, state: str) -> None:
        self._write(state)

    def _write(self, what: str) -> None:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.writes.append(what)


@dataclass(frozen=True)
class FakeStore(Store):
    """A store that is unreachable while `outage` is not empty."""

    outage: list[int] = field(default_factory=list)

    def answers(self) -> bool:
        return not self.outage


def recorder_of(client: FakeClient, store: Store, patience: float = 0, retry_seconds: float = 0) -> MlflowRecorder:
    return MlflowRecorder(
        cast("Any", client), store, "1", "run id", patience=patience, retry_seconds=retry_seconds
    )  # fmt: skip


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore("http://example.org")


@pytest.fixture
def recorder(client: FakeClient, store: FakeStore) -> MlflowRecorder:
    return recorder_of(client, store)


@pytest.fixture
def unreachable(client: FakeClient, store: FakeStore) -> FakeStore:
    """The store, which does not answer until its `outage` is cleared."""
    client.error = ConnectionError("connection refused")
    store.outage.append(1)
    return store


def test_metrics_within_two_seconds_are_one_batch(recorder: MlflowRecorder, client: FakeClient) -> None:
    for epoch in (1, 2, 3):
        recorder.log_metrics({"a": 0.1}, epoch, 0)
    assert client.writes == ["a@1"]
    recorder.finish("FINISHED")
    assert client.writes[:2] == ["a@1", "a@2 a@3"]


def test_a_full_batch_is_sent_at_once(recorder: MlflowRecorder, client: FakeClient) -> None:
    recorder.log_metrics({"a": 0.1}, 1, 0)
    recorder.log_metrics({str(number): 0.1 for number in range(900)}, 2, 0)
    assert len(client.writes) == 2


def test_metrics_are_sent_before_later_files(recorder: MlflowRecorder, client: FakeClient) -> None:
    for epoch in (1, 2):
        recorder.log_metrics({"a": 0.1}, epoch, 0)
    recorder.log_artifacts([Path("x.txt")])
    assert client.writes == ["a@1", "a@2", "x.txt"]


def test_the_end_of_a_run_has_state_reason_and_description(recorder: MlflowRecorder, client: FakeClient) -> None:
    recorder.set_description("text")
    recorder.finish("FAILED", "a reason")
    assert client.writes == ["state reason mlflow.note.content", "FAILED"]
    assert recorder.describe()["complete"] is True


@pytest.mark.usefixtures("unreachable")
def test_an_unreachable_store_raises_nothing_and_is_reported_once(
    recorder: MlflowRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("x.txt", "y.txt"):
        recorder.log_artifacts([Path(name)])
    assert caplog.text.count("http://example.org failed: connection refused") == 1
    assert recorder.describe()["complete"] is False
    assert recorder.describe()["trouble"] == "connection refused"


def test_what_an_unreachable_store_missed_is_sent_in_order_when_it_returns(
    recorder: MlflowRecorder, client: FakeClient, unreachable: FakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.log_artifacts([Path("x.txt"), Path("y.txt")])
    client.error = None
    unreachable.outage.clear()
    with caplog.at_level(logging.INFO, "archsearch"):
        recorder.log_artifacts([Path("z.txt")])
    assert client.writes == ["x.txt", "y.txt", "z.txt"]
    assert (recorder.describe()["complete"], recorder.describe()["trouble"]) == (True, None)
    assert "reachable again" in caplog.text


@pytest.mark.usefixtures("unreachable")
def test_an_unreachable_store_is_not_tried_again_within_the_retry_time(client: FakeClient, store: FakeStore) -> None:
    recorder = recorder_of(client, store, retry_seconds=60)
    recorder.log_artifacts([Path("x.txt"), Path("y.txt")])
    assert client.attempts == 1


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(("state", "retries"), [("FINISHED", True), ("KILLED", False), ("FAILED", False)])
def test_only_a_finished_run_waits_for_an_unreachable_store(
    client: FakeClient, store: FakeStore, state: str, retries: bool
) -> None:
    recorder_of(client, store, patience=0.1, retry_seconds=0.02).finish(state)
    assert (client.attempts > 1) is retries
    assert client.writes == []


def test_a_write_that_a_reachable_store_rejects_twice_is_dropped(
    recorder: MlflowRecorder, client: FakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.error = PermissionError("no permission")
    recorder.log_artifacts([Path("x.txt")])
    assert client.attempts == 2
    assert "MLflow rejected a part of the record: no permission" in caplog.text
    client.error = None
    recorder.finish("FINISHED")
    assert client.writes == ["state", "FINISHED"]
    assert recorder.describe()["complete"] is False
    assert recorder.describe()["trouble"] == "no permission"


def test_results_are_recorded_as_bars_unless_the_metric_has_a_curve(
    recorder: MlflowRecorder, client: FakeClient
) -> None:
    for epoch in (1, 2):
        recorder.log_metrics({"val/accuracy": 90.0, "test/loss": 0.1}, epoch, 0)
    recorder.log_results({"test/accuracy": 99.0, "test/loss": 0.1, "params": 100}, 2, 0)
    recorder.finish("FINISHED")
    assert client.writes[1] == "val/accuracy@2 test/loss@2 test/accuracy@0 test/loss@2 params@0"


def test_the_results_of_a_single_epoch_are_bars(recorder: MlflowRecorder, client: FakeClient) -> None:
    recorder.log_metrics({"val/accuracy": 90.0}, 1, 0)
    recorder.log_results({"test/accuracy": 99.0}, 1, 0)
    recorder.finish("FINISHED")
    assert client.writes[:2] == ["val/accuracy@1", "test/accuracy@0"]


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


def test_a_file_that_does_not_exist_does_not_hold_back_the_rest(database: Store, tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    recorder = MlflowRecorder.start(database, "archsearch", INFO)
    recorder.log_artifacts([tmp_path / "missing.txt", tmp_path / "x.txt"])
    recorder.finish("FINISHED")
    assert "missing.txt" in recorder.describe()["trouble"]
    client, _ = open_experiment(database, "archsearch")
    assert [artifact.path for artifact in client.list_artifacts(recorder.run_id)] == ["x.txt"]
    assert client.get_run(recorder.run_id).info.status == "FINISHED"


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
