"""Interrupted runs, and runs that continue from a checkpoint."""

import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from archsearch.errors import ResumeError
from archsearch.runs.prepare import prepare, prepare_in_sweep
from archsearch.runs.train import enrich, train_run
from archsearch.training.checkpoint import load_checkpoint, save_checkpoint
from tests.support.requests import ask
from tests.support.runs import (
    RECIPE,
    RUN,
    UNRECORDED,
    isolated,
    mlflow_client,
    result_in,
    steps_of,
    train_in,
    without_times,
)

pytestmark = pytest.mark.e2e  # whole runs, in this process


def test_an_interrupted_run_keeps_its_epochs(interrupted: Path) -> None:
    result = result_in(interrupted)
    assert (result["state"], result["reason"], result["epochs_trained"]) == ("KILLED", "interrupted", 1)
    assert "test/accuracy" not in result["final"]


def test_an_interrupted_run_resumes_to_the_same_numbers(interrupted: Path, finished: Path) -> None:
    result = train_in(interrupted, "resume=last")
    assert without_times(result) == without_times(result_in(finished / RUN))


def test_a_resumed_run_keeps_its_id_and_name(interrupted: Path) -> None:
    before = result_in(interrupted)
    result = train_in(interrupted, f"resume='{before['run_id'][:8]}'")  # quoted: an id may look like a number
    assert (result["run_id"], result["name"]) == (before["run_id"], before["name"])


def test_a_finished_run_cannot_be_resumed(interrupted: Path) -> None:
    train_in(interrupted, "resume=last")
    with pytest.raises(ResumeError, match="is finished, after 2 epochs"):
        prepare(ask("resume=last"))


@pytest.mark.usefixtures("interrupted")
def test_the_folder_of_the_data_may_change() -> None:
    assert prepare(ask("resume=last", "data.root=elsewhere")).settings.data.root == "elsewhere"


def test_a_run_does_not_resume_on_other_data(interrupted: Path) -> None:
    path = interrupted / "checkpoint.pt"
    save_checkpoint(path, replace(load_checkpoint(path), data_fingerprint="of other data"))
    with pytest.raises(ResumeError, match=r"the data in data.root=.* differ from those that the run started with"):
        train_run(prepare(ask("resume=last")), interrupted)


HALF, EMPTY, TEXT = (lambda content: content[: len(content) // 2]), (lambda _: b""), (lambda _: b"\xff\xfe\x80")


def flipped(content: bytes) -> bytes:
    """`content` with a bit flipped in its largest tensor."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        position = content.index(archive.read(largest)) + largest.file_size // 2
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


@pytest.fixture(scope="module")
def interrupted_later_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `RUN` was interrupted after the second of three epochs, as `UNRECORDED`."""
    folder = tmp_path_factory.mktemp("later")
    answers = iter([False, True])
    with isolated(folder), pytest.raises(KeyboardInterrupt):
        train_in(RUN, *RECIPE, "trainer.epochs=3", *UNRECORDED, stop=lambda: next(answers))
    return folder


@pytest.fixture
def interrupted_later(interrupted_later_once: Path, workspace: Path) -> Path:
    """A copy of that run in the workspace; returns its folder."""
    shutil.copytree(interrupted_later_once / RUN, workspace / RUN)
    return RUN


@pytest.mark.parametrize("damage", [HALF, EMPTY, TEXT, flipped, None], ids=["half", "empty", "bytes", "bit", "missing"])
def test_a_run_continues_from_the_checkpoint_before_a_damaged_one(
    interrupted_later: Path, damage: Callable[[bytes], bytes] | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = interrupted_later / "checkpoint.pt"
    content = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage(content))
    before = result_in(interrupted_later)
    result = train_in(interrupted_later, "resume=last")
    assert f"WARNING: the run in {RUN} goes on after epoch 1: checkpoint.pt is" in caplog.text
    assert (result["state"], result["epochs_trained"], result["run_id"]) == ("FINISHED", 3, before["run_id"])
    assert result["history"][1]["train/loss"] == before["history"][1]["train/loss"]


@pytest.mark.parametrize("damage", [HALF, None], ids=["half", "missing"])
def test_a_run_without_a_readable_checkpoint_begins_again(
    interrupted: Path, damage: Callable[[bytes], bytes] | None, finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in interrupted.glob("checkpoint*.pt"):
        content = path.read_bytes()
        path.unlink() if damage is None else path.write_bytes(damage(content))
    run_id = result_in(interrupted)["run_id"]
    result = train_in(interrupted, "resume=last")
    assert f"WARNING: the run in {RUN} begins again: checkpoint.pt is" in caplog.text
    assert result["run_id"] == run_id
    assert without_times(result) == without_times(result_in(finished / RUN))


def test_a_damaged_checkpoint_never_replaces_a_good_one(interrupted_later: Path) -> None:
    path = interrupted_later / "checkpoint.pt"
    path.write_bytes(b"")
    with pytest.raises(KeyboardInterrupt):  # in the first moments of the next attempt
        train_run(prepare(ask("resume=last")), interrupted_later, watch=interrupting)
    assert [len(load_checkpoint(file).history) for file in (path, path.with_name("checkpoint.previous.pt"))] == [1, 1]


def interrupting(_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_of_a_sweep_with_a_damaged_checkpoint_begins_again(interrupted: Path) -> None:
    for path in interrupted.glob("checkpoint*.pt"):
        path.write_bytes(b"")
    result = train_run(prepare_in_sweep(ask(*RECIPE, *UNRECORDED), interrupted), interrupted)
    assert (result.state, len(result.history)) == ("FINISHED", 2)


def test_a_checkpoint_of_another_network_is_rejected(interrupted: Path) -> None:
    path = interrupted / "checkpoint.pt"
    checkpoint = load_checkpoint(path)
    network = {name: value.flatten() for name, value in checkpoint.trainer["network"].items()}
    save_checkpoint(path, replace(checkpoint, trainer={**checkpoint.trainer, "network": network}))
    with pytest.raises(ResumeError, match=r"does not fit the run's config.yaml"):
        train_run(prepare(ask("resume=last")), interrupted)


def test_the_model_of_a_finished_run_is_never_that_of_an_earlier_epoch(interrupted: Path) -> None:
    train_in(interrupted, "resume=last")
    (interrupted / "checkpoint.pt").replace(interrupted / "checkpoint.previous.pt")
    with pytest.raises(ResumeError, match=r"checkpoint.pt: there is no checkpoint"):
        enrich(prepare_in_sweep(ask(*RECIPE, *UNRECORDED), interrupted), interrupted)


def test_two_processes_cannot_train_the_same_run(interrupted: Path) -> None:
    lock = FileLock(interrupted / ".lock", is_singleton=False)
    with lock, pytest.raises(ResumeError, match="another process is training the run"):
        train_run(prepare(ask("resume=last")), interrupted)


def test_a_run_that_started_without_tracking_can_be_resumed_with_it(interrupted: Path) -> None:
    result = train_in(
        interrupted, "resume=last", "tracking=mlflow", "tracking.log_model=false", "tracking.log_figures=false"
    )
    client = mlflow_client()
    assert steps_of(client, result["run_id"]) == [1, 2]
    assert client.get_run(result["run_id"]).info.status == "FINISHED"
