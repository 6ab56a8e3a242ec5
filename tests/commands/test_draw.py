"""`python -m archsearch.draw`: pictures of a model, in files of their own."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support.command_line import Command


def test_it_writes_svg_and_png(command: Command, workspace: Path) -> None:
    done = command("model=session4", "model.dropout=0.2", module="archsearch.draw")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["outputs/drawings/session4.svg", "outputs/drawings/session4.png"]
    files = sorted(path.name for path in workspace.rglob("*") if path.is_file())
    assert files == ["session4.png", "session4.svg"]
    text = "".join(ET.parse(workspace / "outputs/drawings/session4.svg").getroot().itertext())
    assert "session4 model.dropout=0.2" in text and "Dropout2d 0.2" in text
    assert (workspace / "outputs/drawings/session4.png").read_bytes().startswith(b"\x89PNG")


def test_out_names_the_file(command: Command, workspace: Path) -> None:
    sizes = ("input=3x32x32", "classes=100")
    done = command("model=resnet20", *sizes, "out=pictures/net.svg", module="archsearch.draw")
    assert (done.returncode, done.stdout) == (0, "pictures/net.svg\n")
    assert "64→100" in (workspace / "pictures" / "net.svg").read_text(encoding="utf-8")


def test_a_model_over_its_budget_is_drawn_with_a_warning(command: Command, workspace: Path) -> None:
    done = command("model=session4", "constraints.max_params=5000", "out=net.svg", module="archsearch.draw")
    assert (done.returncode, done.stdout) == (0, "net.svg\n")
    assert done.stderr == "WARNING: constraints.max_params: the model has 12,954 parameters, 5,000 are allowed\n"
    assert "Conv2d" in (workspace / "net.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out=net.pdf"], "out: got 'net.pdf', must be a file that ends in .svg or .png"),
        (["out=folder.svg"], "out: got 'folder.svg', which is a folder; name a file in it"),
        (["out=file/net.svg"], "out: file/net.svg cannot be written"),
        (["-m", "seed=1,2"], "-m: draws one model at a time"),
        (["model.blocks.conv1.kernel_size=99"], "does not fit"),
        (["input=3x32"], "input: got '3x32', must be channels x height x width, each from 1 to 65,536, as in 3x32x32"),
    ],
)
def test_what_cannot_be_drawn_leaves_nothing(command: Command, workspace: Path, words: list[str], message: str) -> None:
    (workspace / "folder.svg").mkdir()
    (workspace / "file").write_text("a file, no folder")
    done = command("model=session4", *words, module="archsearch.draw")
    assert done.returncode in (1, 2) and message in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in workspace.rglob("*")) == ["file", "folder.svg"]


def test_a_run_to_resume_is_not_drawn_as_the_default_model(command: Command, workspace: Path) -> None:
    (workspace / "run").mkdir()
    (workspace / "run" / "result.json").write_text("{}")
    done = command("resume=run", module="archsearch.draw")
    assert (done.returncode, done.stdout) == (2, "")
    assert "resume: got 'run', must be left out; the run's folder has it, in network.svg" in done.stderr
    assert not (workspace / "outputs").exists()
