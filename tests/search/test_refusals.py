"""Commands that a search refuses before it creates anything."""

import json
from pathlib import Path

import pytest

import archsearch
from archsearch.errors import ConfigError
from tests.support.sweeps import TINY, train_sweep

pytestmark = pytest.mark.e2e  # whole runs, in this process

SEARCH = ("hydra/sweeper=search", *TINY, "tracking=none", "trainer.epochs=2", "search.budget.trials=2")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("trainer.epochs=2,3",), "trainer.epochs: cannot vary within a search"),
        (("trainer.test_every_epoch=false,true",), "trainer.test_every_epoch: cannot vary within a search"),
        (("trainer.test_every_epoch=true",), "trainer.test_every_epoch: got true, must be false in a search"),
        (("data.validation=0",), "data.validation: got 0, must be at least 1"),
        (("sweep.stack=2",), "sweep.stack: got 2, must be 1 in a search"),
        (("sweep.zip=[a,b]",), "sweep.zip: must be empty in a search"),
        (("overwrite=true",), "overwrite: got true, must be false in a search"),
        (("hydra.sweep.subdir=x${hydra.job.num}",), "hydra.sweep.subdir: cannot be set in a search"),
        (("hydra/launcher=basic",), "hydra/launcher: got 'basic', must be archsearch"),
        (("search.min_epochs=3",), "search.min_epochs: got 3, must be at most trainer.epochs (=2)"),
        (("search.objectives=[]",), "search.objectives: got [], must have at least 1 value"),
        (("search.join=a",), "search.join: got 'a', but there is no search.storage"),
        (("search.storage='sqlite:///x.db'", "search.join=a"), "must be PostgreSQL: SQLite lets one process write"),
        (("search.storage='mysql://host/db'", "search.join=a"), "must be postgresql://user@host/database"),
        (("search.storage='postgresql://me@host/db'",), "but no study; name it with search.join=NAME"),
        (("trainer.batch_size=interval(8,16)",), "must be whole ones: int(interval(8,16))"),
    ],
)
def test_a_search_refuses(workspace: Path, words: tuple[str, ...], rule: str) -> None:
    done = train_sweep(workspace, *SEARCH, "model.dropout=0,0.1", *words)
    assert done.returncode == 2 and rule in done.stderr
    assert not list(workspace.iterdir())


def test_options_that_set_the_protocol_of_trials_are_refused(workspace: Path) -> None:
    for name, epochs in (("short", 2), ("long", 3)):
        path = workspace / "conf" / "recipe" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# @package _global_\ntrainer: {{epochs: {epochs}}}\n")
    done = train_sweep(workspace, *SEARCH[:-2], "search.budget.trials=2", "+recipe=short,long")
    assert done.returncode == 2
    assert "recipe: long: sets trainer.epochs to 3, others have 2; trials must not differ in it" in done.stderr


@pytest.mark.parametrize("url", ["postgresql://me:secret@host/db", "postgresql://host/db?user=me&password=secret"])
def test_the_password_of_a_database_is_not_saved(workspace: Path, url: str) -> None:
    done = train_sweep(workspace, *SEARCH, "model.dropout=0,0.1", f"search.storage='{url}'", "search.join=a")
    assert done.returncode == 2 and "must not contain a password" in done.stderr
    assert "secret" not in done.stdout + done.stderr and not list(workspace.iterdir())


def test_a_database_that_is_not_there_is_named(workspace: Path) -> None:
    pytest.importorskip("psycopg2")
    url = "postgresql://me@127.0.0.1:1/db"
    done = train_sweep(workspace, *SEARCH, "model.dropout=0,0.1", f"search.storage='{url}'", "search.join=a")
    assert done.returncode == 2 and f"search.storage: got '{url}', which does not answer: " in done.stderr
    assert "refused" in done.stderr and not list(workspace.rglob("sweep.json"))


def test_a_sweep_is_not_resumed_as_a_search(workspace: Path) -> None:
    folder = workspace / "outputs" / "sweeps" / "grid"
    folder.mkdir(parents=True)
    entry = {"number": 0, "folder": "0", "name": "", "values": {}, "overrides": [], "fingerprint": None}
    record = {
        "format": 2, "overrides": ["model.dropout=0,0.1"], "id": "grid", "keys": [], "hydra": [], "config_dir": [],
        "runs": [{**entry, "state": "READY"}],
    }  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(record))
    done = train_sweep(workspace, "hydra/sweeper=search", "resume=grid")
    assert done.returncode == 2 and "has no study.log, so it is no search" in done.stderr
    assert json.loads((folder / "sweep.json").read_text()) == record


def test_settings_of_a_search_are_refused_where_nothing_is_searched(workspace: Path) -> None:
    done = train_sweep(workspace, *TINY, "seed=1,2", "space=small_mnist", "search.budget.trials=2")
    assert done.returncode == 2
    for key in ("space", "search.budget.trials"):
        assert f"{key}: is a setting of searches, and this is none; add hydra/sweeper=search" in done.stderr
    with pytest.raises(ConfigError, match=r"hydra/sweeper: got 'search', which needs -m"):
        archsearch.train("hydra/sweeper=search", "space=small_mnist")
    assert not list(workspace.iterdir())


def test_an_interval_is_no_error_beside_another_one(workspace: Path) -> None:
    done = train_sweep(workspace, *SEARCH, "model.dropout=interval(0,0.3)", "search.bugdet.trials=3")
    assert done.returncode == 2
    assert done.stderr.strip() == "archsearch: search.bugdet: unknown setting (did you mean search.budget.trials?)"
