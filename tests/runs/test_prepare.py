"""What is rejected before a run starts."""

from pathlib import Path

import pytest

from archsearch.compose.composition import compose_request
from archsearch.config.settings import TrackingSettings
from archsearch.data.catalogue import FILES
from archsearch.errors import ArchsearchError, ConfigError, DataError, StorageError, TrackingError, UserError
from archsearch.runs.prepare import PreparedRun, prepare, recorded_store
from archsearch.runs.train import train_run
from archsearch.tracking.store import Store
from archsearch.training.checkpoint import load_checkpoint
from tests.support.command_line import Command
from tests.support.requests import QUICK, ask
from tests.support.runs import epoch, made_up_result, result_in


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("model.width=-1", ConfigError),
        ("data.root=nowhere", DataError),
        ("tracking.uri=http://127.0.0.1:9", TrackingError),
        ("trainer.device=cuda:77", UserError),
    ],
)
def test_a_run_that_cannot_start_leaves_nothing(override: str, error: type[ArchsearchError], workspace: Path) -> None:
    data = "data=kmnist" if error is DataError else "data=digits"
    with pytest.raises(error):
        prepare(ask(*QUICK, data, override))
    assert not list(workspace.iterdir())


@pytest.fixture
def damaged(workspace: Path) -> Path:
    """The folder of a data set whose files are damaged."""
    raw = workspace / "images" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).write_bytes(b"half")
    return workspace / "images"


def test_damaged_data_are_found_before_a_run_starts(damaged: Path, command: Command) -> None:
    done = command(*QUICK, "data=fashion_mnist", f"data.root={damaged}")
    assert done.returncode == 2 and "ubyte: damaged: got 4 bytes" in done.stderr
    assert [path.name for path in damaged.parent.iterdir()] == ["images"]


def test_damaged_data_are_found_before_a_sweep_starts(damaged: Path, command: Command) -> None:
    done = command("-m", *QUICK, "data=fashion_mnist", f"data.root={damaged}", "seed=1,2,3")
    assert done.returncode == 2 and done.stderr.count("damaged: got 4 bytes") == 1
    assert [path.name for path in damaged.parent.iterdir()] == ["images"]


@pytest.mark.usefixtures("workspace")
def test_a_password_on_the_command_line_is_rejected_and_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"me:\*\*\*@127.0.0.1.*use MLFLOW_TRACKING_URI instead"):
        prepare(ask(*QUICK, "tracking.uri='http://me:secret@127.0.0.1:9'"))


def placed(folder: Path, *overrides: str) -> PreparedRun:
    return prepare(compose_request([*QUICK, "tracking=none", f"hydra.run.dir={folder}", *overrides]))


@pytest.mark.parametrize("changes", [{"state": "FINISHED"}, {"state": "KILLED"}])
def test_a_new_run_does_not_replace_another(changes: dict[str, str], workspace: Path) -> None:
    made_up_result(epoch(1), **changes).write(workspace)
    with pytest.raises(StorageError, match=r"hydra.run.dir: got .*, which holds a .*run.*overwrite=true"):
        placed(workspace)


@pytest.mark.usefixtures("workspace")
def test_a_new_run_does_not_replace_a_damaged_result(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{half")
    with pytest.raises(StorageError, match=r"which holds a damaged result.json"):
        placed(tmp_path)


def test_a_run_does_not_go_into_the_folder_of_a_sweep(workspace: Path) -> None:
    (workspace / "sweep.json").write_text("{}")
    with pytest.raises(StorageError, match=r"which holds a sweep; choose another folder"):
        placed(workspace)


def test_a_run_that_trained_nothing_is_replaced(workspace: Path) -> None:
    made_up_result(state="FAILED").write(workspace)
    assert placed(workspace).resumed is None


def test_overwrite_replaces_a_run_and_all_its_files(interrupted: Path) -> None:
    before = result_in(interrupted)
    for name in ("predictions.csv", "checkpoint.previous.pt"):
        (interrupted / name).write_text("of the run before")
    with pytest.raises(KeyboardInterrupt):
        train_run(placed(interrupted, "overwrite=true"), interrupted, stop=lambda: True)
    after = result_in(interrupted)
    assert after["run_id"] != before["run_id"] and after["epochs_trained"] == 1
    assert not (interrupted / "predictions.csv").exists()
    load_checkpoint(interrupted / "checkpoint.previous.pt")


def test_the_name_of_a_run_does_not_tell_that_it_replaced_another() -> None:
    assert ask("model=session4", "overwrite=true").name == ask("model=session4").name


def test_a_run_that_is_resumed_elsewhere_goes_on_in_its_store(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = workspace / "mlflow.db"
    database.touch()
    uri = f"sqlite:///{database}"
    result = {"tracking": {"uri": uri}}
    assert recorded_store(result, TrackingSettings()) == Store(uri)
    assert recorded_store(result, TrackingSettings(uri="sqlite:///another.db")) is None
    assert recorded_store(result, TrackingSettings(enabled=False)) is None
    assert recorded_store({"tracking": {"uri": "http://host"}}, TrackingSettings()) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///another.db")
    assert recorded_store(result, TrackingSettings()) is None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    database.unlink()
    assert recorded_store(result, TrackingSettings()) is None
