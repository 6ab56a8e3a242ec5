"""`archsearch.train` and `Run`: what the command does, in this process, with its numbers."""

import asyncio
import logging
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import archsearch
from archsearch.compose.overrides import VERSION_BASE, config_folder
from archsearch.errors import NonFiniteLossError
from tests.support.command_line import Command
from tests.support.requests import QUICK
from tests.support.runs import result_in, without_times

pytestmark = pytest.mark.e2e  # whole runs, in this process

UNTRACKED = (*QUICK, "tracking=none", "tracking.log_figures=false")
FAST = (*UNTRACKED, "trainer.epochs=1")


def only_run(workspace: Path) -> Path:
    (folder,) = workspace.glob("outputs/runs/*")
    return folder


def test_the_numbers_are_those_of_the_command_to_the_digit(
    run: archsearch.Run, command: Command, workspace: Path
) -> None:
    assert command(*UNTRACKED).returncode == 0
    folder = only_run(workspace)
    assert without_times(run.result) == without_times(result_in(folder))
    assert (run.folder / "predictions.csv").read_text() == (folder / "predictions.csv").read_text()


def test_the_folder_has_the_files_that_the_command_leaves(
    run: archsearch.Run, command: Command, workspace: Path
) -> None:
    command(*FAST)
    files = [
        {str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in (only_run(workspace), run.folder)
    ]
    assert files[0] == files[1]
    for name in ("config.yaml", "overrides.yaml"):
        by_command, by_function = (
            (folder / ".hydra" / name).read_text() for folder in (only_run(workspace), run.folder)
        )
        assert re.sub(r"\bepochs: 1", "epochs: 2", by_command).replace("- trainer.epochs=1\n", "") == by_function
    assert run.folder.parent.name == "runs" and run.folder.parent.parent.name == "outputs"


def test_metrics_have_a_row_for_each_epoch(run: archsearch.Run) -> None:
    metrics = run.metrics
    assert list(metrics.index) == [1, 2] and metrics.index.name == "epoch"
    measured = {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/balanced_accuracy"}
    assert measured | {"lr", "seconds"} == set(metrics.columns)
    assert metrics["val/accuracy"].iloc[-1] == run.result["final"]["val/accuracy"]


def test_predictions_have_a_row_for_each_test_image(run: archsearch.Run) -> None:
    predictions = run.predictions
    accuracy = 100 * (predictions["label"] == predictions["prediction"]).mean()
    assert len(predictions) == 297 and accuracy == pytest.approx(run.result["final"]["test/accuracy"])


def test_a_run_knows_its_id_name_state_configuration_and_layers(run: archsearch.Run) -> None:
    assert run.id == run.result["run_id"] and run.state == "FINISHED"
    assert run.name.startswith("session5_step1 data=digits")
    assert run.config["model"]["width"] == 0.4
    assert f"Total params: {run.result['params']:,}" in run.layers
    assert "FINISHED" in repr(run) and str(run.folder) in repr(run)


def accuracy_on_test_images(network: torch.nn.Module) -> float:
    from archsearch.data.batches import ImageSet
    from archsearch.data.catalogue import dataset_info
    from archsearch.data.load import load

    info = dataset_info("digits")
    data = load(info, Path())
    images = ImageSet.of(info, data.test_images, data.test_labels, torch.device("cpu"), False)
    with torch.inference_mode():
        correct = sum(int((network(batch).argmax(1) == labels).sum()) for batch, labels in images.in_order(100))
    return 100 * correct / len(images)


def test_the_network_has_the_trained_weights_and_is_in_eval_mode(run: archsearch.Run) -> None:
    network = run.network()
    assert not network.training
    assert accuracy_on_test_images(network) == pytest.approx(run.result["final"]["test/accuracy"])


@pytest.mark.usefixtures("workspace")
def test_the_network_has_the_averaged_weights_where_they_are_averaged() -> None:
    run = archsearch.train(*FAST, "averaging=ema")
    weights = torch.load(run.folder / "checkpoint.pt", weights_only=True)["trainer"]
    network = run.network()
    assert torch.equal(network.state_dict()["conv1.conv.weight"], weights["average"]["network"]["conv1.conv.weight"])
    assert not torch.equal(network.state_dict()["conv1.conv.weight"], weights["network"]["conv1.conv.weight"])
    assert accuracy_on_test_images(network) == pytest.approx(run.result["final"]["test/accuracy"])


def test_runs_of_one_process_do_not_influence_each_other(run: archsearch.Run, workspace: Path) -> None:
    """Nor does what the process did to torch before, except for its number of threads."""
    del workspace
    torch.manual_seed(99)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.no_grad(), torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
            again = archsearch.train(*UNTRACKED)
        assert (torch.get_default_dtype(), torch.get_float32_matmul_precision()) == (torch.float64, "medium")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
    assert without_times(again.result) == without_times(run.result)
    assert again.folder != run.folder


@pytest.mark.usefixtures("workspace")
def test_the_process_keeps_its_random_state_threads_logging_and_signals() -> None:
    handler, logger = logging.NullHandler(), logging.getLogger("archsearch")
    logger.addHandler(handler)
    root = logging.getLogger().handlers[:]
    torch.set_num_threads(2)
    try:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        archsearch.train(*FAST)
        assert torch.equal(torch.rand(3), expected)
        assert torch.get_num_threads() == 2
        assert logger.handlers == [handler] and logging.getLogger().handlers == root
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        torch.set_num_threads(1)
        logger.removeHandler(handler)


@pytest.mark.usefixtures("workspace")
def test_messages_go_to_standard_output_and_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    run = archsearch.train(*FAST)
    output = capsys.readouterr().out
    assert "Epoch 1/1  Train set:" in output and f"run      {run.id}" in output
    assert "Epoch 1/1  Train set:" in (run.folder / "archsearch.log").read_text()


@pytest.mark.usefixtures("workspace")
def test_hydra_is_left_as_it_was() -> None:
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        before = GlobalHydra.instance().hydra
        archsearch.train(*FAST)
        assert GlobalHydra.instance().hydra is before
        assert compose("config", overrides=["seed=7"]).seed == 7
    assert not GlobalHydra.instance().is_initialized()
    assert not HydraConfig.initialized()


@pytest.mark.usefixtures("workspace")
def test_it_works_inside_a_running_event_loop() -> None:
    async def cell() -> archsearch.Run:
        return archsearch.train(*FAST)

    assert asyncio.run(cell()).state == "FINISHED"


@pytest.mark.usefixtures("workspace")
def test_it_works_in_a_thread() -> None:
    runs: list[archsearch.Run] = []
    thread = threading.Thread(target=lambda: runs.append(archsearch.train(*FAST)))
    thread.start()
    thread.join()
    assert runs[0].state == "FINISHED"


def test_threads_take_turns(run: archsearch.Run, workspace: Path) -> None:
    runs: list[archsearch.Run] = []
    threads = [threading.Thread(target=lambda: runs.append(archsearch.train(*UNTRACKED))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [without_times(other.result) for other in runs] == [without_times(run.result)] * 2
    assert len(list(workspace.glob("outputs/runs/*"))) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("optimizer=adan",), "optimizer: got 'adan', must be one of adam, adamw, sgd"),
        (("trainer.epochs=0",), "trainer.epochs: got 0, must be at least 1"),
        (("model.dropout=0,0.1",), "model.dropout"),
        (("experiment=dropout_width",), "archsearch.run_sweep"),
        (("-m", "seed=1,2"), "train: got -m, must be settings, without flags; use archsearch.run_sweep"),
        (("--cfg",), "train: got --cfg, must be settings, without flags"),
        ((3,), "train: got 3, must be strings as on the command line, such as 'trainer.epochs=2'"),
        (("trainer.epocs=1", "seed=-1"), "trainer.epocs"),
    ],
)
def test_invalid_settings_raise_and_leave_nothing(settings: tuple[Any, ...], message: str, workspace: Path) -> None:
    with pytest.raises(archsearch.ConfigError) as caught:
        archsearch.train(*settings)
    assert message in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert not list(workspace.iterdir())
    assert not GlobalHydra.instance().is_initialized()


def test_a_finished_run_is_not_overwritten(run: archsearch.Run) -> None:
    before = (run.folder / "result.json").read_text()
    with pytest.raises(archsearch.UserError, match="overwrite=true"):
        archsearch.train(*FAST, f"hydra.run.dir={run.folder}")
    assert (run.folder / "result.json").read_text() == before


def test_a_run_that_fails_raises_and_can_be_loaded(workspace: Path) -> None:
    with pytest.raises(NonFiniteLossError):
        archsearch.train(*FAST, "optimizer.lr=1e20")
    run = archsearch.load("last")
    assert isinstance(run, archsearch.Run) and run.state == "FAILED"
    assert run.metrics.empty and run.folder == only_run(workspace)
    with pytest.raises(archsearch.ReportError, match=r"predictions\.csv: there is no such file; the run is FAILED"):
        _ = run.predictions


@pytest.mark.usefixtures("workspace")
def test_an_interrupted_run_is_resumed_to_the_same_numbers(
    run: archsearch.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(number: float) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("archsearch.runs.train.epoch_line", lambda *_: interrupt(0))
        archsearch.train(*UNTRACKED)
    interrupted = archsearch.load()
    assert isinstance(interrupted, archsearch.Run)
    assert interrupted.state == "KILLED" and len(interrupted.metrics) == 1
    resumed = archsearch.train(f"resume={interrupted.id}")
    assert resumed.folder == interrupted.folder
    assert without_times(resumed.result) == without_times(run.result)


@pytest.mark.parametrize("settings", [("--config-dir",), ("data=digits", "-cd")])
def test_a_flag_without_its_folder_is_refused(settings: tuple[str, ...], workspace: Path) -> None:
    with pytest.raises(archsearch.ConfigError, match="must be followed by a folder"):
        archsearch.train(*settings)
