"""Overrides inside interpolated blocks, which OmegaConf cannot apply."""

from pathlib import Path

import pytest

from archsearch.compose.composition import compose_request
from tests.support.command_line import Command

MODEL = """
x-head: {type: gap, dropout: 0.2}
blocks:
  conv1: {channels: 4, kernel_size: 5, bias: false, order: [conv, norm, activation, dropout]}
  conv2: ${.conv1}
  stage: {type: residual, body: {a: {channels: 4, padding: 1}, b: "${.a}"}}
  copy: ${.stage}
head: ${.x-head}
"""
CONV2 = "model.blocks.conv2"
BODY = "body: {a: {channels: 4, padding: 1}, b: {channels: 4, padding: 1}}"


@pytest.fixture
def models(workspace: Path) -> Path:
    """A folder of models with `mine`."""
    folder = workspace / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(MODEL)
    return folder


@pytest.mark.parametrize(
    ("override", "name", "interpolation", "use"),
    [
        (
            f"{CONV2}.dropout=0.1",
            "conv2",
            "${.conv1}",
            f"{CONV2}={{channels: 4, kernel_size: 5, bias: false, order: [conv, norm, activation, dropout],"
            " dropout: 0.1}",
        ),
        (
            f"~{CONV2}.order",
            "conv2",
            "${.conv1}",
            f"{CONV2}={{channels: 4, kernel_size: 5, bias: false}}",
        ),
        (
            "model.blocks.copy.body.a.stride=2",
            "copy",
            "${.stage}",
            f"model.blocks.copy={{type: residual, {BODY.replace('1}, b', '1, stride: 2}, b')}}}",
        ),
        (
            f"++{CONV2}.channels=8",
            "conv2",
            "${.conv1}",
            f"{CONV2}={{channels: 8, kernel_size: 5, bias: false, order: [conv, norm, activation, dropout]}}",
        ),
        ("++model.head.type=linear", "head", "${.x-head}", "model.head={type: linear, dropout: 0.2}"),
        ("model.head.dropout=0", "head", "${.x-head}", "model.head={type: gap, dropout: 0}"),
    ],
)
@pytest.mark.usefixtures("models")
def test_they_get_one_message_that_says_what_works(
    command: Command, override: str, name: str, interpolation: str, use: str
) -> None:
    done = command("model=mine", override, module="archsearch.check")
    reason = f"cannot be overridden alone, because `{name}` is the interpolation {interpolation}"
    rest = "or interpolate its settings one by one in the YAML"
    path = override.partition("=")[0].lstrip("+~")
    assert (done.returncode, done.stderr) == (2, f'archsearch: {path}: {reason}; use "{use}", {rest}\n')
    assert command("model=mine", use, module="archsearch.check").returncode == 0


@pytest.mark.usefixtures("models")
def test_they_come_with_all_other_errors(command: Command) -> None:
    words = ("trainer.epocs=3", f"{CONV2}.dropout=0.1", "model.head.type=gap", "seed=x")
    errors = command("model=mine", *words, module="archsearch.check").stderr.splitlines()
    paths = ["trainer.epocs", "model.head.type", f"{CONV2}.dropout", "seed"]
    assert [error.partition(":")[0] for error in errors[1:]] == paths


@pytest.mark.parametrize("setting", ["channels", "dropout"])
def test_they_get_it_in_sweeps(command: Command, models: Path, setting: str) -> None:
    (models / "other.yaml").write_text("defaults: [mine]\nblocks:\n  conv2: {channels: 8}\n")
    done = command("-m", "model=mine,other", f"{CONV2}.{setting}=0,0.5", module="archsearch.check")
    problems = [line for line in done.stderr.splitlines() if line.startswith(CONV2)]
    assert any(f"{CONV2}.{setting}: cannot be overridden alone" in problem for problem in problems)
    assert ("4 runs of 4 variants: 2 to train, 2 invalid" in done.stdout) == (setting == "dropout")


@pytest.mark.usefixtures("models")
def test_a_block_that_another_override_replaces_can_be_overridden(command: Command) -> None:
    words = (f"{CONV2}={{channels: 8}}", f"{CONV2}.dropout=0.1")
    blocks = compose_request(["model=mine", *words]).config["model"]["blocks"]
    assert blocks["conv2"] == {"channels": 8, "dropout": 0.1} and blocks["conv1"]["channels"] == 4
    done = command("-m", "model=mine", f"{CONV2}={{channels: 8}}", f"{CONV2}.dropout=0,0.1", module="archsearch.check")
    assert "2 to train" in done.stdout


def test_a_file_that_extends_another_changes_a_copy(models: Path) -> None:
    (models / "other.yaml").write_text("defaults: [mine]\nblocks:\n  conv2: {channels: 8}\n")
    blocks = compose_request(["model=other"]).config["model"]["blocks"]
    assert blocks["conv2"] == {**blocks["conv1"], "channels": 8} and blocks["conv1"]["channels"] == 4


def test_an_interpolation_of_nothing_is_named(command: Command, models: Path) -> None:
    (models / "mine.yaml").write_text(MODEL.replace("${.conv1}", "${.conv9}"))
    done = command("model=mine", module="archsearch.check")
    assert done.stderr == "archsearch: model.blocks.conv2: refers to conv9, which does not exist\n"


def test_interpolations_of_each_other_are_named(command: Command, models: Path) -> None:
    (models / "mine.yaml").write_text("blocks: {a: '${.b}', b: '${.a}'}\nhead: {type: gap}\n")
    done = command("model=mine", module="archsearch.check")
    assert done.stderr == "archsearch: model.blocks.a: is an interpolation that refers to itself\n"
