"""Exported files: ONNX, a torch.export program, source; each with the logits of the network that it came from."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch.deploy.checks import example_pixels, largest_difference
from archsearch.deploy.chosen import choose_run
from archsearch.deploy.exporting import formats_of, write_format
from archsearch.deploy.quantised import images_of
from archsearch.deploy.words import ExportOptions
from archsearch.errors import ConfigError, DataError, RunError
from archsearch.export import export
from archsearch.model.classifier import as_images
from tests.support.deployed import MadeUpRun, logits_in_a_bare_process
from tests.support.models import lower
from tests.support.presets import PRESETS, plan_of
from tests.support.runs import RUN

FORMATS = ("onnx", "torch", "source")

# Branches that are added, multiplied and concatenated, every pooling, layers of archsearch's own.
MIXED: dict[str, Any] = {
    "dropout": 0.1,
    "padding": 1,
    "blocks": {
        "conv1": {"channels": 6},
        "blur": {"type": "pool", "pool": "blur"},
        "stage": {"type": "residual", "shortcut": "pad", "body": {"conv": {"channels": 8, "stride": 2}}, "repeat": 2},
        "attention": {"type": "squeeze_excite"},
        "where": {"type": "spatial_attention"},
        "wide": {
            "type": "parallel",
            "branches": {"one": {"conv": {"channels": 4}}, "two": {"conv": {"channels": 4}, "again": {"channels": 2}}},
        },
        "pool": {"type": "pool", "pool": "max", "pool_size": 3, "pool_stride": 2, "ceil_mode": True},
    },
    "head": {"type": "linear", "hidden": [12]},
}


def check_export(run: MadeUpRun, name: str, folder: Path, formats: tuple[str, ...] = FORMATS) -> None:
    """Export `run` in every format, and compare the source in a process of its own; the others compare themselves."""
    for form in formats:
        lines = list(write_format(form, run, folder / name))
        assert "of PyTorch's in batches of 1, 2 and 7" in lines[0]
    batches = [example_pixels(run.classifier, batch) for batch in (1, 3)]
    with torch.inference_mode():
        expected = [run.classifier(batch).numpy() for batch in batches]
    first = [run.classifier.preprocessing.channels_first(batch).contiguous() for batch in batches]
    for computed, wanted in zip(logits_in_a_bare_process(folder, name, *batches, *first), expected * 2, strict=True):
        np.testing.assert_allclose(computed, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.e2e
@pytest.mark.parametrize("shape", [(1, 20, 18), (3, 20, 18)])
def test_branches_joins_and_pooling_leave_as_they_are(shape: tuple[int, ...], tmp_path: Path) -> None:
    check_export(MadeUpRun.of(lower(MIXED, shape, 5), "mixed"), "mixed", tmp_path)
    assert sorted(path.name for path in tmp_path.glob("mixed*")) == [
        "mixed.onnx", "mixed.pt2", "mixed.py", "mixed.safetensors",
    ]  # fmt: skip


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["session4_conv_head", "resnet20"])
def test_a_preset_leaves_in_every_format(name: str, tmp_path: Path) -> None:
    check_export(MadeUpRun.of(plan_of(name), name), name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_leaves_in_every_format(name: str, tmp_path: Path) -> None:
    check_export(MadeUpRun.of(plan_of(name), name), name, tmp_path)


def test_a_file_with_other_logits_does_not_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = MadeUpRun.of(lower({"blocks": {"a": {"channels": 2}}, "head": {"type": "gap"}}), "a")
    assert largest_difference(run.classifier, lambda pixels: run.classifier(pixels).detach().numpy(), "x") == 0
    with pytest.raises(RunError, match=r"x: its logits differ from PyTorch's by 0\.01 in a batch of 1"):
        largest_difference(run.classifier, lambda pixels: run.classifier(pixels).detach().numpy() + 0.01, "x")
    monkeypatch.setattr("archsearch.runs.source.np.atleast_1d", lambda value: np.array(value) + 0.1)
    with pytest.raises(RunError, match="format=source: its logits differ"):
        list(write_format("source", run, tmp_path / "a"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"format": "onx,source"}, "format: got 'onx', must be some of onnx, torch, source (did you mean onnx?)"),
        ({"format": "source", "int8": True}, "int8: is of ONNX files, got format=source; add onnx"),
        ({"format": "torch,onnx"}, "format: onnx needs packages that are not installed; install onnx, onnxscript, as"),
    ],
)
def test_wrong_formats_are_refused(without_onnx: None, words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        formats_of(ExportOptions(**words))
    assert message in str(caught.value)
    assert formats_of(ExportOptions(format="[torch, source]")) == ["torch", "source"]


@pytest.mark.e2e
def test_the_command_writes_all_files_with_what_int8_costs(
    trained: Path, tmp_path: Path, digits: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    import onnx
    import onnxruntime

    from archsearch.results import Run

    out = tmp_path / "out"
    assert export(["run=last", "int8=true", f"out={out}"]) == 0
    done = capfd.readouterr()
    names = [line.split()[0].rpartition("/")[2] for line in done.out.splitlines()]
    name = "session5_step1"
    assert names == [f"{name}{end}" for end in (".onnx", ".pt2", ".py", ".safetensors", ".int8.onnx")]
    assert sorted(names) == sorted(path.name for path in out.iterdir())
    assert " points), calibrated on 250 validation images" in done.out and "on 297 test images " in done.out
    assert done.err.startswith("run ")

    run = Run(RUN)
    pixels = as_images(torch.from_numpy(digits[:10, None]))
    with torch.inference_mode():
        expected = run.classifier()(pixels).numpy()
    session = onnxruntime.InferenceSession(out / f"{name}.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"pixels": pixels.numpy()})[0], expected, atol=1e-4)
    (classes,) = (
        json.loads(prop.value) for prop in onnx.load(out / f"{name}.onnx").metadata_props if prop.key == "class_names"
    )
    assert classes == list(run.class_names)
    np.testing.assert_allclose(logits_in_a_bare_process(out, name, pixels)[0], expected, atol=1e-5)
    names_in_program = {"class_names.json": ""}
    program = torch.export.load(out / f"{name}.pt2", extra_files=names_in_program)
    assert json.loads(names_in_program["class_names.json"]) == classes
    np.testing.assert_allclose(program.module()(pixels).detach().numpy(), expected, atol=1e-5)
    quantised = onnxruntime.InferenceSession(out / f"{name}.int8.onnx", providers=["CPUExecutionProvider"])
    assert np.corrcoef(quantised.run(None, {"pixels": pixels.numpy()})[0].ravel(), expected.ravel())[0, 1] > 0.95


def test_int8_needs_the_images_of_the_run(trained: Path) -> None:
    run = choose_run(str(RUN))
    images = images_of(run)
    assert images.source == "validation" and len(images.calibration) == 250 and images.test.shape == (297, 28, 28)
    vars(run)["checkpoint"] = replace(run.checkpoint, data_fingerprint="other")
    with pytest.raises(DataError, match=r"the images of scikit-learn digits in data are not those of the run"):
        images_of(run)


def test_the_folder_must_be_one(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("a file, no folder")
    assert export(["format=source", f"out={tmp_path / 'file'}"]) == 2
    assert f"out: {tmp_path / 'file'} cannot be written: File exists" in capfd.readouterr().err
