"""A small trained sweep that several tests look at, or resume a copy of."""

import pytest

from tests.support.sweeps import TINY, TrainedSweep, train_sweep


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedSweep:
    """4 runs of 2 variants, of one epoch each, without MLflow."""
    workspace = tmp_path_factory.mktemp("trained")
    grid = ("model.dropout=0,0.1", "seed=1,2")
    done = train_sweep(workspace, *TINY, "trainer.epochs=1", "tracking=none", "sweep.workers=1", *grid)
    assert done.returncode == 0, done.stdout + done.stderr
    return TrainedSweep(workspace, done)
