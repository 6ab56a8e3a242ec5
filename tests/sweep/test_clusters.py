"""Launchers for several machines, tried on one: a local Ray, submitit's local executor, PostgreSQL.

python -m pytest -m cluster
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mlflow_server import MlflowServer, check_all_is_recorded
from tests.support.postgres import postgres_server
from tests.support.processes import Cli
from tests.support.sweeps import TINY, sweep_folder, table_of, train_sweep

pytestmark = pytest.mark.cluster

WORDS = (*TINY, "trainer.epochs=2", "trainer.threads=1", "model.dropout=0,0.1", "seed=1,2")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as server:
        yield server.uri


@pytest.fixture(scope="module")
def server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("server"), postgres)
    yield server
    server.kill()


def numbers_of(workspace: Path) -> dict[int, tuple[Any, ...]]:
    names = ("values", "params", "val_best", "val_final", "test", "state")
    return {number: tuple(str(row[name]) for name in names) for number, row in table_of(workspace).items()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Any, ...]]:
    """The table of the default launcher."""
    folder = tmp_path_factory.mktemp("expected")
    assert train_sweep(folder, *WORDS, "tracking=none").returncode == 0
    return numbers_of(folder)


@pytest.mark.parametrize("launcher", ["archsearch", "submitit_local", "ray"])
def test_every_launcher_gives_the_same_table_and_records(
    cli: Cli, workspace: Path, server: MlflowServer, expected: dict[int, tuple[Any, ...]], launcher: str
) -> None:
    done = cli("-m", *WORDS, f"hydra/launcher={launcher}", f"tracking.uri={server.uri}", "tracking.log_model=false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ConfigStore schema" not in done.stderr
    check_all_is_recorded(server.uri, workspace, runs=4, epochs=2)
    assert f"{server.uri}/#/experiments/" in done.stdout
    assert numbers_of(workspace) == expected
    assert "Epoch 2/2" in (sweep_folder(workspace) / "3" / "archsearch.log").read_text()


@pytest.mark.parametrize("launcher", ["submitit_local", "ray"])
def test_a_run_that_fails_with_another_launcher_can_be_resumed_with_the_default_one(
    cli: Cli, workspace: Path, launcher: str
) -> None:
    words = (*TINY, "trainer.epochs=2", "tracking=none", "scheduler=constant", "optimizer.lr=0.05,1e18")
    done = cli("-m", *words, f"hydra/launcher={launcher}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 2 runs did not finish" in done.stderr
    assert {row["state"] for row in table_of(workspace).values()} == {"FINISHED", "FAILED"}
    assert "the training loss became" in str(table_of(workspace)[1]["reason"])
    log = (sweep_folder(workspace) / "1" / "archsearch.log").read_text()
    assert "Traceback (most recent call last)" in log and "NonFiniteLossError" in log
    again = cli("-m", "resume=last", "hydra/launcher=archsearch")
    assert again.returncode == 1 and "2 runs of 2 variants: 1 to train, 1 already trained" in again.stdout


def test_the_preset_for_slurm_is_complete(cli: Cli) -> None:
    """Without SLURM, this only reaches submitit's validation of the preset."""
    shown = cli("hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "--cfg", "hydra")
    assert shown.returncode == 0, shown.stderr
    for setting in ("SlurmLauncher", "partition: gpu", "array_parallelism: 64"):
        assert setting in shown.stdout


def test_a_misspelt_setting_of_the_launcher_is_refused(cli: Cli) -> None:
    misspelt = cli("-m", "seed=1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.partitoin=gpu")
    assert misspelt.returncode == 2 and "partitoin" in misspelt.stderr
