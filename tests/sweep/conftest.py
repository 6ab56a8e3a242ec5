"""A small trained sweep that several tests look at, or resume a copy of."""

import pytest

from tests.support.sweeps import HERE, TINY, TrainedSweep, train_sweep


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedSweep:
    """4 runs of 2 variants, of one epoch each, without MLflow, trained in this process."""
    return _trained(tmp_path_factory, HERE)


@pytest.fixture(scope="session")
def trained_by_worker(tmp_path_factory: pytest.TempPathFactory) -> TrainedSweep:
    """The same sweep, trained by a worker."""
    return _trained(tmp_path_factory, "sweep.workers=1")


def _trained(tmp_path_factory: pytest.TempPathFactory, how: str) -> TrainedSweep:
    workspace = tmp_path_factory.mktemp("trained")
    grid = ("model.dropout=0,0.1", "seed=1,2")
    done = train_sweep(workspace, *TINY, "trainer.epochs=1", "tracking=none", how, *grid)
    assert done.returncode == 0, done.stdout + done.stderr
    return TrainedSweep(workspace, done)
