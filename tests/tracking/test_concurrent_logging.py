"""Eight processes log to a new store at once, ten times, and lose no run and no metric.

Run with `python -m pytest -m sweep`.
"""

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from archsearch.tracking.mlflow_recorder import MlflowRecorder
from archsearch.tracking.recorder import DataInfo, RunInfo
from archsearch.tracking.store import Store, import_mlflow

pytestmark = pytest.mark.sweep

PROCESSES, REPETITIONS, EPOCHS = 8, 10, 15


def log_runs(folder: Path, number: int, barrier: Barrier) -> None:
    """Log a run to a new store in each repetition, at the same time as the other processes."""
    import_mlflow()
    for repetition in range(REPETITIONS):
        store = Store(f"sqlite:///{folder}/{repetition}.db")
        info = RunInfo(f"run {number}", {"number": number}, {"sweep.run": str(number)}, DataInfo("x", "0", "x"))
        barrier.wait(timeout=240)
        recorder = MlflowRecorder.start(store, "archsearch", info)
        for epoch in range(1, EPOCHS + 1):
            recorder.log_metrics({"val/accuracy": 90 + epoch + number / 100, "lr": 0.1 / epoch}, epoch, 1000 * epoch)
        recorder.finish("FINISHED")
        assert recorder.describe()["complete"], recorder.describe()


@pytest.mark.slow
def test_eight_processes_that_open_a_new_store_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    processes = [context.Process(target=log_runs, args=(tmp_path, number, barrier)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(280)
    assert [process.exitcode for process in processes] == [0] * PROCESSES

    from mlflow import MlflowClient

    for repetition in range(REPETITIONS):
        client = MlflowClient(f"sqlite:///{tmp_path}/{repetition}.db")
        runs = client.search_runs(["1"])
        assert sorted(run.data.params["number"] for run in runs) == [str(number) for number in range(PROCESSES)]
        for run in runs:
            number = int(run.data.params["number"])
            assert run.info.status == "FINISHED" and run.data.tags["state"] == "FINISHED"
            history = client.get_metric_history(run.info.run_id, "val/accuracy")
            expected = [(epoch, 90 + epoch + number / 100) for epoch in range(1, EPOCHS + 1)]
            assert [(point.step, point.value) for point in history] == expected
