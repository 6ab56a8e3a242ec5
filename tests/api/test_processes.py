"""Scripts and notebooks as people run them, in processes of their own, with MLflow."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import archsearch
from archsearch.data.catalogue import DATASETS
from archsearch.data.load import load
from tests.support.processes import REPOSITORY, Cli, wait_until
from tests.support.requests import QUICK
from tests.support.runs import mlflow_client, result_in, steps_of, without_times

pytestmark = pytest.mark.e2e

EXAMPLES = REPOSITORY / "examples"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}

NETWORK = """
import archsearch
from torch import nn

print("the script runs")

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, images):
        return self.layers(images)

run = archsearch.train("data=digits", "trainer.epochs=2", "trainer.threads=1", network=Mine())
print(run.id)
"""


def run_script(folder: Path, code: str) -> str:
    """What a script without an `if __name__` guard prints."""
    script = folder / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_script_has_the_numbers_and_the_record_of_the_command(cli: Cli, workspace: Path) -> None:
    settings = ", ".join(map(repr, (*QUICK, "tracking.log_model=false")))
    output = run_script(workspace, f"import archsearch\nprint('begun')\nprint(archsearch.train({settings}).folder)\n")
    assert output.count("begun") == 1
    by_script = Path(output.splitlines()[-1])
    assert cli(*QUICK, "tracking.log_model=false").returncode == 0
    (by_command,) = set(workspace.glob("outputs/runs/*")) - {by_script}
    results = [result_in(folder) for folder in (by_script, by_command)]
    assert without_times(results[0]) == without_times(results[1])
    files = [{path.name for path in folder.iterdir()} for folder in (by_script, by_command)]
    assert files[0] == files[1]
    client = mlflow_client()
    records = [client.get_run(result["run_id"]) for result in results]
    assert records[0].data.params == records[1].data.params
    assert {record.info.status for record in records} == {"FINISHED"}
    for key in ("train/loss", "val/accuracy", "test/accuracy"):
        values = [[point.value for point in client.get_metric_history(result["run_id"], key)] for result in results]
        assert values[0] == values[1] and values[0]
    artifacts = [{item.path for item in client.list_artifacts(result["run_id"])} for result in results]
    assert artifacts[0] == artifacts[1]


def test_a_network_that_a_script_defines_is_recorded_with_its_model(workspace: Path) -> None:
    import mlflow

    output = run_script(workspace, NETWORK)
    assert output.count("the script runs") == 1
    run = archsearch.load(output.splitlines()[-1])
    assert isinstance(run, archsearch.Run)
    client = mlflow_client()
    record = client.get_run(run.id)
    assert run.result["tracking"]["complete"]
    assert record.data.tags["model"] == "custom" and record.data.params["model"] == "Mine"
    assert record.data.metrics["params"] == 7850 and record.data.metrics["macs"] == 7840
    assert steps_of(client, run.id) == [1, 2]
    models = client.search_logged_models([record.info.experiment_id])
    assert [model.source_run_id for model in models] == [run.id]
    images = load(DATASETS["digits"], Path("unused")).test_images[:, 0]
    logits = mlflow.pyfunc.load_model(models[0].artifact_location).predict(images)
    assert [run.class_names[label] for label in logits.argmax(axis=1)] == list(run.predictions["prediction"].map(str))
    assert {"layers.txt", "predictions.csv"} <= {item.path for item in client.list_artifacts(run.id)}


def test_help_waits_neither_for_torch_nor_for_pandas(workspace: Path) -> None:
    code = """
import sys
from archsearch.__main__ import run
assert run(["--help"]) == 0
print({"torch", "pandas", "mlflow"} & set(sys.modules))
"""
    assert run_script(workspace, code).splitlines()[-1] == "set()"


def test_a_network_that_cannot_be_exported_is_recorded_without_a_model(workspace: Path) -> None:
    branching = NETWORK.replace(
        "return self.layers(images)", "return self.layers(images) * (1 + (images.sum().item() > 0))"
    )
    output = run_script(workspace, branching)
    run = archsearch.load(output.splitlines()[-1])
    assert isinstance(run, archsearch.Run) and run.result["tracking"]["complete"]
    assert "MLflow gets no model: torch.export cannot export Mine" in output
    assert mlflow_client().get_run(run.id).info.status == "FINISHED"


def test_ctrl_c_reaches_the_script_after_the_run_is_recorded(workspace: Path) -> None:
    script = workspace / "script.py"
    script.write_text(
        "import archsearch\n"
        "try:\n"
        "    archsearch.train('data=digits', 'model=session5_step1', 'trainer.epochs=1000', 'tracking=none')\n"
        "except KeyboardInterrupt:\n"
        "    print('caught', archsearch.load().state)\n"
    )
    log = workspace / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, script], cwd=workspace, env=ENVIRONMENT, stdout=output)
    wait_until(lambda: "Epoch 1/1000" in log.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert log.read_text().splitlines()[-1] == "caught KILLED"


@pytest.mark.slow  # it has the calls of the notebook
def test_the_quickstart_script_runs(workspace: Path) -> None:
    output = run_script(workspace, (EXAMPLES / "quickstart.py").read_text())
    assert "val_final_sd" in output and "verdict" in output
    assert len((EXAMPLES / "quickstart.py").read_text().splitlines()) <= 15


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::ResourceWarning")
def test_the_notebook_runs(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the notebook's outputs before a commit"
    client = NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(workspace)}}
    )
    client.execute()
    text = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "Epoch 5/5" in text and "model.head.type: got 'gab'" in text and "Mine data=digits" in text
    assert not [
        output for cell in notebook.cells for output in cell.get("outputs", ()) if output.get("name") == "stderr"
    ]
    sweep = archsearch.load(next(workspace.glob("outputs/sweeps/*")))
    assert isinstance(sweep, archsearch.Sweep)
    assert list(sweep.table["state"]) == ["FINISHED"] * 6


def test_a_model_that_was_tested_on_one_image_answers_for_several(workspace: Path) -> None:
    """torch.export, which makes it, takes an example of one image to mean that there is never another number."""
    import mlflow

    images, labels = np.zeros((21, 28, 28), np.uint8), np.arange(21) % 2
    np.savez(
        workspace / "own.npz",
        train_images=images[1:], train_labels=labels[1:], test_images=images[:1], test_labels=labels[:1],
    )  # fmt: skip
    own = "'data=arrays', 'data.path=own.npz', 'data.validation=2', 'trainer.batch_size=6'"
    run_script(workspace, NETWORK.replace('"data=digits"', own).replace("(784, 10)", "(784, 2)"))
    (model,) = mlflow_client().search_logged_models(["1"])
    assert mlflow.pyfunc.load_model(model.artifact_location).predict(images[:3]).shape == (3, 2)
