"""Recording a run in MLflow: what is sent when, and what happens while the store is unreachable."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from archsearch.tracking.mlflow_recorder import MlflowRecorder
from archsearch.tracking.store import Store, import_mlflow

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
