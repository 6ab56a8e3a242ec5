"""The same ten images, as files of several sizes and modes, through everything that a run can leave as."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import archsearch
from archsearch.deploy.pictures import read_picture
from archsearch.export import export
from archsearch.model.classifier import as_images
from archsearch.predict import predict
from tests.support.deployed import logits_in_a_bare_process
from tests.support.requests import QUICK
from tests.support.runs import RUN, result_in, train_in

SHAPE = (3, 31, 25)  # in colour, not square, odd


def write_photographs(folder: Path, digits: Any) -> None:
    """The first digits in three classes, each in a colour of its own and at a size of its own."""
    for number, digit in enumerate(digits[:60]):
        name = f"class {number % 3}"
        (folder / name).mkdir(parents=True, exist_ok=True)
        colours = np.roll([1.0, 0.6, 0.3], number % 3)
        photograph = Image.fromarray((digit[..., None] * colours).astype(np.uint8))
        turned = photograph.resize((15 + number, 40 - number // 2))
        mode, suffix = (("RGB", "png"), ("RGB", "jpg"), ("P", "png"), ("RGBA", "webp"))[number % 4]
        turned.convert(mode).save(folder / name / f"{number}.{suffix}")


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return torch.from_numpy(logits).softmax(dim=1).numpy()


@pytest.mark.e2e
def test_all_forms_of_a_network_answer_alike(
    workspace: Path, digits: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import mlflow
    import onnxruntime

    monkeypatch.setenv("ARCHSEARCH_CACHE", str(workspace / "cache"))
    write_photographs(workspace / "photographs", digits)
    data = ["data=image_folder", "data.root=photographs", "data.size=[31,25]"]
    train_in(RUN, *QUICK, *data, "trainer.batch_size=8", "tracking.log_figures=false")
    files = sorted(map(str, (workspace / "photographs").rglob("*.*")))[::6]
    capfd.readouterr()
    assert len(files) == 10 and predict([f"run={RUN}", "format=json", "top=3", *files]) == 0
    answers = json.loads(capfd.readouterr().out)
    assert [answer["file"] for answer in answers] == files
    names = archsearch.Run(RUN).class_names
    by_name = [{item["class"]: item["probability"] for item in answer["classes"]} for answer in answers]
    expected = np.array([[row[name] for name in names] for row in by_name])
    assert np.ptp(expected, axis=0).max() > 0.02  # the images differ

    out = workspace / "out"
    assert export([f"run={RUN}", f"out={out}"]) == 0
    pixels = as_images(torch.from_numpy(np.stack([read_picture(file, SHAPE) for file in files])))
    assert pixels.shape == (10, 31, 25, 3)
    session = onnxruntime.InferenceSession(out / "session5_step1.onnx", providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        program = torch.export.load(out / "session5_step1.pt2").module()(pixels).numpy()
    tracking = result_in(RUN)["tracking"]
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracking["uri"])
    try:
        (logged,) = mlflow.search_logged_models([tracking["experiment_id"]], output_format="list")
        model = mlflow.pyfunc.load_model(logged.model_uri)
    finally:
        mlflow.set_tracking_uri(before)
    logits = {
        "onnx": session.run(None, {"pixels": pixels.numpy()})[0],
        "torch": program,
        "source": logits_in_a_bare_process(out, "session5_step1", pixels)[0],
        "mlflow": model.predict(pixels.numpy()),
    }
    for form, values in logits.items():
        np.testing.assert_allclose(probabilities(values), expected, atol=2e-6, err_msg=form)
