"""`archsearch register`: MLflow's registry, and a served model that answers HTTP requests with real images."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch.register import register
from archsearch.results import Run
from archsearch.tracking.store import restored_mlflow
from tests.support.mlflow_server import free_port
from tests.support.processes import wait_until
from tests.support.requests import QUICK
from tests.support.runs import RUN, isolated, mlflow_client, result_in, train_in


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with `RUN`, recorded with its model, and a run `b`, recorded without one."""
    folder: Path = tmp_path_factory.mktemp("registered")
    with isolated(folder):
        train_in(RUN, *QUICK, "tracking.log_figures=false")
        train_in(RUN.parent / "b", *QUICK, "tracking.log_figures=false", "tracking.log_model=false", "seed=2")
        yield folder


@contextmanager
def served(model: str, store: str) -> Iterator[str]:
    """The address of `mlflow models serve` for `model` in `store`."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-p", str(port)],
        env={**os.environ, "MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true",
             "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, process.communicate()[0].decode()
        try:
            urllib.request.urlopen(f"{address}/ping", timeout=5).close()
        except OSError:
            return False
        return True

    try:
        wait_until(answers, seconds=120)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.e2e
def test_a_registered_model_is_served_and_answers_with_the_runs_logits(
    recorded: Path, digits: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert register([f"run={RUN}", "name=digits", "alias=champion"]) == 0
    output = capfd.readouterr().out.splitlines()
    assert output[:2] == ["models:/digits/1", "models:/digits@champion"]
    store = result_in(RUN)["tracking"]["uri"]
    with served("models:/digits@champion", store) as address:
        content = json.dumps({"inputs": digits[:10].tolist()}).encode()
        request = urllib.request.Request(f"{address}/invocations", content, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            logits = np.array(json.load(response)["predictions"])
    run = Run(RUN)
    names = [run.class_names[label] for label in logits.argmax(axis=1)]
    assert logits.shape == (10, 10) and names == list(run.predict(digits[:10])["prediction"])


@pytest.mark.e2e
def test_a_run_without_a_model_gets_one_and_takes_the_alias(
    recorded: Path, digits: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    client, run_id = mlflow_client(recorded), result_in(RUN.parent / "b")["run_id"]
    broken = client.create_logged_model(client.get_run(run_id).info.experiment_id, source_run_id=run_id)
    client.finalize_logged_model(broken.model_id, "FAILED")  # as when the disk was full
    for name in (RUN, RUN.parent / "b"):
        assert register([f"run={name}", "name=other", "alias=champion"]) == 0
    version = client.get_model_version_by_alias("other", "champion")
    assert (str(version.version), version.run_id) == ("2", run_id)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert mlflow.get_tracking_uri() != result_in(RUN)["tracking"]["uri"]
    assert "models:/other/2" in capfd.readouterr().out
    assert register([f"run={RUN.parent / 'b'}", "name=other"]) == 0  # does not log it again
    assert len(client.get_run(run_id).outputs.model_outputs) == 1


@pytest.mark.e2e
def test_a_model_that_an_earlier_version_recorded_is_registered(
    recorded: Path, digits: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was MLflow's flavor `pytorch`, whose files need no archsearch either."""
    import mlflow

    folder = RUN.parent / "old"
    train_in(folder, *QUICK, "tracking.log_figures=false", "tracking.log_model=false", "seed=3")
    tracking, run = result_in(folder)["tracking"], Run(folder)
    with restored_mlflow(), warnings.catch_warnings(action="ignore"), torch.inference_mode():
        mlflow.set_tracking_uri(tracking["uri"])
        classifier, example = run.classifier(), digits[:2]
        signature = mlflow.models.infer_signature(example, classifier(torch.from_numpy(example)).numpy())
        with mlflow.start_run(run_id=run.id):
            model = mlflow.pytorch.log_model(
                classifier, name="model", signature=signature, input_example=example, pip_requirements=["torch"]
            )
        assert register([f"run={folder}", "name=old"]) == 0
        assert mlflow_client(recorded).get_model_version("old", "1").source == f"models:/{model.model_id}"
        logits = mlflow.pyfunc.load_model("models:/old/1").predict(digits[:10])
    assert [run.class_names[label] for label in logits.argmax(axis=1)] == list(run.predict(digits[:10])["prediction"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["name=a"], "is not recorded in MLflow, so there is no registry; resume="),
        ([], "name: is missing"),
        (["name=a/b"], "name: got 'a/b', must be a name without / and :"),
        (["name=a", "alias=the best"], "alias: got 'the best', must be of letters, digits, _ and -"),
        (
            ["name=a", "alias=Latest"],
            "alias: got 'Latest', must be of letters, digits, _ and -, and neither latest nor",
        ),
        (["name=a", "alias=v1"], "alias: got 'v1', must be"),
        (["name=a", "alais=b"], "alais: unknown setting (did you mean alias?)"),
        (["digits"], "digits: must have the form setting=value"),
    ],
)
def test_what_cannot_be_registered_is_refused(
    trained: Path, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert register([f"run={RUN}", *words]) == 2
    assert message in capfd.readouterr().err


@pytest.mark.e2e
def test_a_network_that_cannot_be_exported_is_no_error_of_the_store(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("data-dependent branch\nin detail")

    folder = RUN.parent / "refused"
    train_in(folder, *QUICK, "tracking.log_figures=false", "tracking.log_model=false", "seed=4")
    monkeypatch.setattr("archsearch.deploy.registering.model_files", refuse)
    assert register([f"run={folder}", "name=a"]) == 1
    errors = capfd.readouterr().err
    assert "torch.export cannot export its network: data-dependent branch" in errors and "tracking store" not in errors


@pytest.mark.e2e
def test_what_mlflow_refuses_is_an_error_of_the_store(recorded: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(RUN, RUN.parent / "c")
    (folder / "result.json").write_text(json.dumps(result_in(RUN) | {"run_id": "0" * 32}))  # which it does not have
    assert register([f"run={folder}", "name=a"]) == 2
    assert "tracking store sqlite:" in capfd.readouterr().err
