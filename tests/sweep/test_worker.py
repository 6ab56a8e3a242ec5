"""The environment of real workers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import start, wait_until
from tests.support.sweeps import epochs_logged, workers_of

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(scope="module")
def workers(mnist_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Two workers that train on MNIST."""
    workspace = tmp_path_factory.mktemp("workers")
    process = start(
        *("-m", "data=mnist", f"data.root={mnist_root.absolute()}", "seed=1,2", "tracking=none", "trainer.epochs=50"),
        *("model=session5_step1", "sweep.workers=2"),
        cwd=workspace,
    )
    try:
        wait_until(lambda: len(epochs_logged(workspace)) == 2 and min(epochs_logged(workspace).values()) >= 1, 120)
        yield workers_of(process)
    finally:
        process.kill()
        process.communicate()


def test_there_are_as_many_workers_as_configured(workers: list[int]) -> None:
    assert len(workers) == 2


def test_workers_have_one_thread_each(workers: list[int]) -> None:
    for pid in workers:
        environment = Path(f"/proc/{pid}/environ").read_text()
        assert "OMP_NUM_THREADS=1" in environment and "MKL_NUM_THREADS=1" in environment


def test_workers_map_the_same_files_of_images(workers: list[int]) -> None:
    for pid in workers:
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "train-images-idx3-ubyte" in maps and "t10k-images-idx3-ubyte" in maps
