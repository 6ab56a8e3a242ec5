"""Workers share the cores or the GPUs of a machine."""

import pytest

from archsearch.config.settings import SweepSettings
from archsearch.sweep.machine import cores, slots_here, thread_cap


@pytest.fixture(autouse=True)
def _no_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_without_gpus_there_is_one_worker_per_core() -> None:
    assert slots_here(SweepSettings(), gpus=0) == [{}] * cores()


def test_workers_are_as_many_as_configured() -> None:
    assert slots_here(SweepSettings(workers=5), gpus=0) == [{}] * 5


def test_jobs_per_gpu_workers_share_each_gpu() -> None:
    slots = slots_here(SweepSettings(jobs_per_gpu=2), gpus=2)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["0", "1", "0", "1"]


def test_only_visible_gpus_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-abc")
    slots = slots_here(SweepSettings(jobs_per_gpu=4, workers=3), gpus=2)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["3", "GPU-abc", "3"]


def test_a_thread_cap_is_for_every_library() -> None:
    assert set(thread_cap(1).values()) == {"1"}
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= set(thread_cap(1))
