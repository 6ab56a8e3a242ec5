"""Launchers for more machines than one, here on this one: a local Ray, submitit's local executor, PostgreSQL.

python -m pytest -m cluster
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mlflow_server import MlflowServer, check_all_is_recorded, free_port
from tests.support.processes import Cli
from tests.support.sweeps import TINY, sweep_folder, table_of

pytestmark = pytest.mark.cluster

WORDS = (*TINY, "trainer.epochs=2", "trainer.threads=1", "model.dropout=0,0.1", "seed=1,2")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own, from Debian's package: the URI of an empty database."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("PostgreSQL is not installed")
    own: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        own = {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid}
    folder = Path(tempfile.mkdtemp(prefix="archsearch-postgres-"))
    try:
        if own:
            shutil.chown(folder, "postgres")
        port, bin_folder = free_port(), programs[-1].parent
        data = folder / "data"
        make = [str(bin_folder / "initdb"), "-D", str(data), "-A", "trust", "-U", "archsearch", "-E", "UTF8"]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, **own)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        control = [str(bin_folder / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, cwd=folder, **own)
        try:
            yield f"postgresql+psycopg2://archsearch@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder, **own)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("server"), postgres)
    yield server
    server.kill()


def numbers_of(workspace: Path) -> dict[int, tuple[Any, ...]]:
    wanted = ("values", "params", "val_best", "val_final", "test", "state")
    return {number: tuple(str(row[name]) for name in wanted) for number, row in table_of(workspace).items()}


_seen: dict[int, tuple[Any, ...]] = {}


@pytest.mark.parametrize("launcher", ["archsearch", "submitit_local", "ray"])
def test_every_launcher_gives_the_same_table_and_records(
    cli: Cli, workspace: Path, server: MlflowServer, launcher: str
) -> None:
    done = cli("-m", *WORDS, f"hydra/launcher={launcher}", f"tracking.uri={server.uri}", "tracking.log_model=false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ConfigStore schema" not in done.stderr
    check_all_is_recorded(server.uri, workspace, variants=4, epochs=2)
    assert f"{server.uri}/#/experiments/" in done.stdout
    _seen.update(_seen or numbers_of(workspace))
    assert numbers_of(workspace) == _seen
    assert "Epoch 2/2" in (sweep_folder(workspace) / "3" / "archsearch.log").read_text()


@pytest.mark.parametrize("launcher", ["submitit_local", "ray"])
def test_a_variant_that_fails_elsewhere_can_be_resumed_here(cli: Cli, workspace: Path, launcher: str) -> None:
    words = (*TINY, "trainer.epochs=2", "tracking=none", "scheduler=constant", "optimizer.lr=0.05,1e18")
    done = cli("-m", *words, f"hydra/launcher={launcher}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 2 variants were not trained to their end" in done.stderr
    assert {row["state"] for row in table_of(workspace).values()} == {"FINISHED", "FAILED"}
    assert "the training loss became" in str(table_of(workspace)[1]["reason"])
    log = (sweep_folder(workspace) / "1" / "archsearch.log").read_text()
    assert "Traceback (most recent call last)" in log and "NonFiniteLossError" in log
    again = cli("-m", "resume=last", "hydra/launcher=archsearch")
    assert again.returncode == 1 and "2 variants: 1 to train, 1 trained already" in again.stdout


def test_the_preset_for_slurm_is_complete(cli: Cli) -> None:
    """There is no SLURM here; submitit's own check of what it would be told is as far as this goes."""
    shown = cli("hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "--cfg", "hydra")
    assert shown.returncode == 0, shown.stderr
    assert (
        "SlurmLauncher" in shown.stdout and "partition: gpu" in shown.stdout and "array_parallelism: 64" in shown.stdout
    )
    misspelt = cli("-m", "seed=1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.partitoin=gpu")
    assert misspelt.returncode == 2 and "partitoin" in misspelt.stderr
