"""Cores and GPUs of this machine, and the environments of the workers that share them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from archsearch.config.settings import SweepSettings
from archsearch.system.hardware import gpu_may_be_here

# Libraries that otherwise start one thread per core in every worker.
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)


def thread_cap(threads: int) -> dict[str, str]:
    """Environment variables that limit every library to `threads` threads."""
    return dict.fromkeys(_THREADS, str(threads))


def slots_here(settings: SweepSettings, gpus: int) -> list[dict[str, str]]:
    """The environment of each worker: `jobs_per_gpu` workers on each of `gpus` GPUs, or one per core without GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(gpus)]
    slots: list[dict[str, str]] = [
        {"CUDA_VISIBLE_DEVICES": names[number]} for _ in range(settings.jobs_per_gpu) for number in range(gpus)
    ] or [{} for _ in range(cores())]
    if settings.workers is None:
        return slots
    return [slots[number % len(slots)] for number in range(settings.workers)]


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus_here() -> int:
    """The number of GPUs that torch sees. Imports torch only where there could be one."""
    if not gpu_may_be_here():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
